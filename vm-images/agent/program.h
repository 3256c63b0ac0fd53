/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_PROGRAM_H
#define BUSLAB_PROGRAM_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

#define MAX_REGS	1024u
#define MAX_LOCAL	1024u	/* buffers that end with the program */
#define MAX_KEPT	4096u	/* buffers of the peer, index 0x8000 and up */
#define KEPT		0x8000u
#define ARENA_BUFFER	0xffffu	/* the programs' half of the arena */
#define MAX_OPERANDS	10u

enum op {
	OP_NOP		= 0,
	OP_ALLOC	= 1,	/* buffer, size, alignment, flags */
	OP_MAP		= 2,	/* buffer, fd, offset, size, prot, flags, result, errno */
	OP_FREE		= 3,	/* buffer */
	OP_WRITE	= 4,	/* to, from, bytes: as COPY, for constants */
	OP_FILL		= 5,	/* to, byte, bytes */
	OP_COPY		= 6,	/* to, from, bytes */
	OP_STORE	= 7,	/* to, value, width */
	OP_LOAD		= 8,	/* register, from, width */
	OP_SYSCALL	= 9,	/* number, six arguments, result, errno */
	OP_SET		= 10,	/* register, value */
	OP_ARITH	= 11,	/* register, operator, left, right */
	OP_JUMP		= 12,	/* step */
	OP_BRANCH	= 13,	/* comparison, left, right, step */
	OP_READ		= 14,	/* from, bytes */
	OP_CLOCK	= 15,	/* register, clock */
	OP_EMIT		= 16,	/* value */
	OP_SIGNAL	= 17,	/* signal, what (0 default, 1 ignore, 2 count), flags of sigaction */
	OP_SIGCOUNT	= 18,	/* register, signal */
	OP_POLL		= 19,	/* fd, events, ms, result, revents */
	OP_SLEEP	= 20,	/* nanoseconds */
	OP_END		= 21,	/* value */
	OP_ADD_MEM	= 22,	/* address, value, register with the old value: atomic u64 */
	OP_WAIT_MEM	= 23,	/* address, comparison, value, width, ms, register: 1 = came true */
	OP_COMPARE	= 24,	/* left, right, bytes, register: offset of the first difference or ~0 */
	OP_CRC		= 25,	/* from, bytes, register */
	OP_COUNT
};

enum operand_kind {
	OPD_NONE	= 0,
	OPD_IMM		= 1,	/* value */
	OPD_REG		= 2,	/* register index, plus value */
	OPD_BUF		= 3,	/* address of buffer index, plus value */
	OPD_DATA	= 4,	/* address of the program's data, plus value */
};

enum compare { CMP_EQ = 1, CMP_NE, CMP_LTU, CMP_LEU, CMP_LTS, CMP_LES, CMP_GTU, CMP_GEU };

enum status {
	RUN_DONE	= 0,
	RUN_FAULT	= 1,	/* a step touched bad memory: detail = signal, code, address */
	RUN_DEADLINE	= 2,
	RUN_BAD		= 3,	/* a step makes no sense: detail = errno */
	RUN_ENDED	= 4,	/* by END: address = its value */
	RUN_ERROR	= 5,	/* a step marked STOP failed: detail = errno */
	RUN_FULL	= 6,	/* more results than allowed */
};

#define STEP_TRACE	1u	/* record result and errno */
#define STEP_CATCH	2u	/* a fault is a result: errno register = 0x10000 + signal */
#define STEP_STOP	4u	/* the program ends if this fails */

struct operand {
	uint16_t kind;
	uint16_t index;
	uint64_t value;
};

struct step {
	uint16_t op;
	uint8_t flags;
	struct operand operand[MAX_OPERANDS];
};

struct area {
	void *map;
	size_t map_len;
	uint8_t *addr;
	size_t size;
};

struct run {
	struct step *steps;
	uint32_t nsteps;
	uint32_t nregs;
	uint32_t flags;
	uint8_t *data;
	size_t data_len;
	uint32_t pc;
	uint32_t next;
	uint64_t executed;
	uint64_t regs[MAX_REGS];
	struct area local[MAX_LOCAL];
	uint32_t status;
	uint32_t detail;
	int32_t code;
	uint64_t address;
	struct buf records;
	size_t most;
	sigjmp_buf trap;
	atomic_bool trapping;
	atomic_bool expired;
};

/* Ends the program. */
void run_end(struct run *run, enum status status, uint32_t detail);
uint64_t operand_value(struct run *run, const struct step *step, unsigned int i);
void *operand_address(struct run *run, const struct step *step, unsigned int i);
void operand_result(struct run *run, const struct step *step, unsigned int i, uint64_t value);
void run_record(struct run *run, uint16_t kind, const void *bytes, size_t len);
bool compared(uint64_t how, uint64_t left, uint64_t right, bool *known);
/* result and errno of a step, by its flags */
void run_outcome(struct run *run, const struct step *step, unsigned int result, int64_t value, int err);

/* ops_memory.c, ops_system.c: true = one of theirs */
bool op_memory(struct run *run, const struct step *step);
bool op_system(struct run *run, const struct step *step);
/* ops_flow.c: all others */
void op_flow(struct run *run, const struct step *step);
struct area *area_of(struct run *run, uint16_t index);
void areas_free(struct run *run);
void signals_setup(void);

#define RECORD_TRACE	1
#define RECORD_READ	2
#define RECORD_EMIT	3

#endif
