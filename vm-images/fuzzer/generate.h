/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_FUZZ_GENERATE_H
#define BUSLAB_FUZZ_GENERATE_H

#include "command.h"
#include "model.h"
#include "program.h"
#include "random.h"

/* Programs to start from, laid one behind the other. */
struct corpus {
	const uint8_t *bytes;
	const size_t *start;
	size_t count;
	size_t total;
};

/* Program number index of a seed: a function of its arguments and of nothing else. */
void program_generate(struct program *program, uint64_t seed, uint64_t index, const struct corpus *corpus);
/* A call that makes sense, put at the place given. */
void call_generate(struct call *call, struct rng *rng, const struct model *model);
/* Changes a program in one to four places. */
void program_mutate(struct program *program, struct rng *rng, const struct corpus *corpus);

#endif
