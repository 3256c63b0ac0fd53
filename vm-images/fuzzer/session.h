/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: A session is the execution of one program, in a process made for it.
 * Thread 0 is the main thread and hands the calls of other threads to them
 * without waiting. When the last call is done, or the time is over, the
 * process ends, and the kernel has to clean up after it.
 */
#ifndef BUSLAB_FUZZ_SESSION_H
#define BUSLAB_FUZZ_SESSION_H

#include "command.h"
#include "program.h"

#include <stdatomic.h>
#include <sys/types.h>

#define MOUNT_POINT	"/sys/fs/kdbus"
#define PAGE		4096UL
#define MAX_ERRNO	134

/* Counters that outlive the process, in memory shared with the batch. */
struct tally {
	atomic_uint tried[CMD_COUNT];
	atomic_uint done[CMD_COUNT];
	atomic_uint errors[CMD_COUNT][MAX_ERRNO];
	atomic_uint ops[OP_COUNT];
	atomic_uint failed[OP_COUNT];
	atomic_uint injected;
	atomic_uint held_faults;
};

struct slot {
	atomic_int fd;
	uint64_t id;
	uint64_t offset;
	uint64_t older[7];
	uint64_t cookie;
	uint64_t sender;
	uint8_t *map;
	size_t map_bytes;
};

struct session {
	const struct program *program;
	struct tally *tally;
	struct slot slot[SLOTS];
	atomic_int child;
	bool verbose;
};

extern struct session session;

/* Runs the program in this process and ends it. */
void session_run(const struct program *program, struct tally *tally, bool verbose) __attribute__((noreturn));
/* One call on the thread it belongs to. Returns the result of its last system call, negative: -errno. */
long call_execute(uint16_t index, unsigned int thread);
/* The calls on descriptors other than the bus. */
long descriptor_execute(const struct call *call);

/* Memory: zones and the data of calls. Returns the address. */
void memory_init(const struct program *program);
uint8_t *memory_place(uint16_t index, const struct call *call, const uint8_t *data);
void memory_forget(uint16_t index, uint32_t how);
uint64_t memory_zone(uint8_t zone, int32_t add);
/* Starts the threads that change memory and hold page faults, if the program needs them. */
void memory_threads(const struct program *program);

/* Coverage, see coverage.c. */
bool coverage_open(void);
void coverage_reset(void);
void coverage_thread(unsigned int thread);
/* Merges what the last program covered into what is known. Returns the edges that are new. */
unsigned int coverage_merge(void);
void coverage_load(const char *path);
void coverage_store(const char *path);
void coverage_count(unsigned int *edges, unsigned int *blocks);

/* The batch: how programs are brought to run. */
struct batch {
	uint64_t seed;
	uint64_t first;
	uint64_t count;
	long milliseconds;
	long limit_ms;
	const char *corpus;
	const char *seen;
	const char *fresh;
	bool guided;
	bool verbose;
	unsigned int times;
};

int batch_run(const struct batch *batch);
int batch_replay(const struct batch *batch, const char *file);
int batch_setup(void);
struct corpus corpus_load(const char *path);

#endif
