/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_ARENA_H
#define BUSLAB_ARENA_H

#include <stddef.h>
#include <stdint.h>

/*
 * DOC: the arena
 *
 * One shared mapping of the supervisor and all peers. The first half is a
 * table that shows what each thread is doing; the second half belongs to the
 * programs: peers meet there (counters, barriers) without a system call.
 */
#define ARENA_SIZE	65536u
#define ARENA_USER	32768u	/* where the programs' half begins */
#define ARENA_SLOTS	(ARENA_USER / sizeof(struct slot))

/**
 * struct slot - one thread of one peer, written by that thread
 * @peer:	number of the peer, 0 = free
 * @thread:	number of the thread, 0 = main
 * @tid:	as the thread itself sees it
 * @running:	1 while a program runs
 * @step:	index of the step it is at
 * @op:		its operation
 * @executed:	steps done so far
 */
struct slot {
	uint32_t peer;
	uint32_t thread;
	uint32_t tid;
	uint32_t running;
	uint32_t step;
	uint32_t op;
	uint64_t executed;
};

extern uint8_t *arena;
extern int arena_fd;

int arena_create(void);
int arena_adopt(int fd);
struct slot *slot_claim(uint32_t peer, uint32_t thread);
void slot_release(struct slot *slot);
struct slot *slot_find(uint32_t peer, uint32_t thread);
void slots_clear(uint32_t peer);

#endif
