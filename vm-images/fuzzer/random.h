/* SPDX-License-Identifier: GPL-2.0 */
/* splitmix64: one word of state, equal on every architecture. */
#ifndef BUSLAB_FUZZ_RANDOM_H
#define BUSLAB_FUZZ_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t rng_next(struct rng *r)
{
	r->state += 0x9e3779b97f4a7c15ULL;
	return rng_mix(r->state);
}

/* 0 .. n - 1; n must not be 0 */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

static inline bool rng_one_in(struct rng *r, uint32_t n)
{
	return rng_below(r, n) == 0;
}

#define ARRAY_SIZE(_table)	(sizeof(_table) / sizeof((_table)[0]))
#define RNG_PICK(_r, _table)	(*(rng_below(_r, (uint32_t)ARRAY_SIZE(_table)) + (_table)))

#endif
