// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "peer_child.h"

/*
 * Program, all fields little endian:
 *
 *	 0	u32	0x31475250 ("PRG1")
 *	 4	u32	flags: 1 = the thread ends after it
 *	 8	u32	number of steps
 *	12	u32	registers used (they begin as zero)
 *	16	u32	bytes of steps
 *	20	u32	bytes of data
 *	24	u32	milliseconds it may take, 0 = any time
 *	28	u32	most bytes of records, 0 = 8 MiB
 *	32		steps, then data (8-byte aligned)
 *
 * Step: u16 operation, u8 operands, u8 flags, u32 zero; then per operand
 * u16 kind, u16 index, u32 zero, u64 value.
 *
 * Result:
 *
 *	 0	u32	status
 *	 4	u32	step it ended at
 *	 8	u32	detail (signal or errno)
 *	12	s32	si_code
 *	16	u64	address of a fault, or value of END
 *	24	u64	steps done
 *	32	u64	CLOCK_MONOTONIC at the start
 *	40	u64	... at the end
 *	48	u32	registers
 *	52	u32	bytes of records
 *	56		u64 registers, then records
 *
 * Record: u32 step, u16 kind, u16 zero, u32 length, u32 zero, bytes, padding
 * to 8. Kinds: 1 trace (s64 result, u64 errno), 2 memory, 3 u64 value.
 */
#define PROGRAM_MAGIC	0x31475250u
#define PROGRAM_END_THREAD 1u
#define DEADLINE_SIGNAL	(SIGRTMAX - 1)
#define RECORDS_DEFAULT	(8u << 20)

static __thread struct run *current;

static void trap(int signo, siginfo_t *info, void *context)
{
	struct run *run = current;

	(void)context;
	if (!run || !run->trapping) { /* our own mistake: die of it */
		signal(signo, SIG_DFL);
		return;
	}
	run->detail = (uint32_t)signo;
	run->code = info->si_code;
	run->address = (uint64_t)(uintptr_t)info->si_addr;
	siglongjmp(run->trap, 1);
}

static void expired(int signo)
{
	(void)signo;
	if (current)
		current->expired = true;
}

void program_setup(void)
{
	struct sigaction sa = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sa = (struct sigaction){ .sa_handler = expired };
	sigaction(DEADLINE_SIGNAL, &sa, NULL);
	signals_setup();
}

void run_end(struct run *run, enum status status, uint32_t detail)
{
	if (run->next == UINT32_MAX)
		return; /* the first reason counts */
	run->status = status;
	run->detail = detail;
	run->next = UINT32_MAX;
}

uint64_t operand_value(struct run *run, const struct step *step, unsigned int i)
{
	const struct operand *o = &step->operand[i];
	struct area *area;

	switch (o->kind) {
	case OPD_IMM:
		return o->value;
	case OPD_REG:
		return run->regs[o->index] + o->value;
	case OPD_DATA:
		return (uint64_t)(uintptr_t)run->data + o->value;
	case OPD_BUF:
		if (o->index == ARENA_BUFFER)
			return (uint64_t)(uintptr_t)(arena + ARENA_USER) + o->value;
		area = area_of(run, o->index);
		if (area && area->addr)
			return (uint64_t)(uintptr_t)area->addr + o->value;
		run_end(run, RUN_BAD, EFAULT);
		return 0;
	default:
		return 0;
	}
}

void *operand_address(struct run *run, const struct step *step, unsigned int i)
{
	return (void *)(uintptr_t)operand_value(run, step, i);
}

void operand_result(struct run *run, const struct step *step, unsigned int i, uint64_t value)
{
	if (step->operand[i].kind == OPD_REG)
		run->regs[step->operand[i].index] = value;
}

void run_record(struct run *run, uint16_t kind, const void *bytes, size_t len)
{
	static const uint8_t zeros[8];

	if (len > run->most || run->records.len + len + 24 > run->most) {
		run_end(run, RUN_FULL, 0);
		return;
	}
	buf_reserve(&run->records, len + 24);
	buf_u32(&run->records, run->pc);
	buf_u16(&run->records, kind);
	buf_u16(&run->records, 0);
	buf_u32(&run->records, (uint32_t)len);
	buf_u32(&run->records, 0);
	/* memory that faults half way must leave no half record */
	if (len)
		memcpy(run->records.data + run->records.len, bytes, len);
	run->records.len += len;
	buf_put(&run->records, zeros, -len & 7);
}

void run_outcome(struct run *run, const struct step *step, unsigned int result, int64_t value, int err)
{
	operand_result(run, step, result, (uint64_t)value);
	operand_result(run, step, result + 1, (uint64_t)err);
	if (step->flags & STEP_TRACE) {
		uint64_t pair[2] = { (uint64_t)value, (uint64_t)err };

		run_record(run, RECORD_TRACE, pair, sizeof(pair));
	}
	if (step->flags & STEP_STOP && err)
		run_end(run, RUN_ERROR, (uint32_t)err);
}

static void faulted(struct run *run)
{
	const struct step *step = &run->steps[run->pc];
	static const uint8_t result_at[OP_COUNT] = { [OP_SYSCALL] = 7, [OP_MAP] = 6 };
	uint32_t signo = run->detail;

	if (!(step->flags & STEP_CATCH)) {
		run_end(run, RUN_FAULT, signo);
		return;
	}
	/* steps without result registers leave a trace record instead */
	if (result_at[step->op]) {
		run_outcome(run, step, result_at[step->op], (int64_t)run->address, (int)(0x10000 + signo));
	} else {
		uint64_t pair[2] = { run->address, 0x10000 + signo };

		run_record(run, RECORD_TRACE, pair, sizeof(pair));
	}
}

static void interpret(struct run *run, struct slot *slot)
{
	while (run->pc < run->nsteps) {
		const struct step *step = &run->steps[run->pc];
		size_t records = run->records.len;

		slot->step = run->pc;
		slot->op = step->op;
		slot->executed = ++run->executed;
		run->next = run->pc + 1;
		/* the mask need not be saved: the handler does not change it */
		if (sigsetjmp(run->trap, 0)) {
			run->trapping = false;
			run->records.len = records;
			faulted(run);
		} else {
			run->trapping = true;
			if (!op_system(run, step) && !op_memory(run, step))
				op_flow(run, step);
			run->trapping = false;
		}
		if (run->expired)
			run_end(run, RUN_DEADLINE, 0);
		if (run->next == UINT32_MAX)
			return;
		run->pc = run->next;
	}
}

static int parse(struct run *run, uint8_t *bytes, size_t len, uint32_t *limit_ms)
{
	struct reader r = reader_of(bytes, len);
	uint32_t magic = read_u32(&r), steps_len, data_len;

	run->flags = read_u32(&r);
	run->nsteps = read_u32(&r);
	run->nregs = read_u32(&r);
	steps_len = read_u32(&r);
	data_len = read_u32(&r);
	*limit_ms = read_u32(&r);
	run->most = read_u32(&r);
	if (!run->most)
		run->most = RECORDS_DEFAULT;
	if (r.bad || magic != PROGRAM_MAGIC || run->nregs > MAX_REGS || r.left != (size_t)steps_len + data_len ||
	    run->nsteps > steps_len / 8 || run->most > (16u << 20))
		return -EPROTO;
	run->data = bytes + (len - data_len);
	run->data_len = data_len;
	r.left = steps_len;
	run->steps = calloc(run->nsteps + 1u, sizeof(*run->steps));
	if (!run->steps)
		return -ENOMEM;
	for (uint32_t i = 0; i < run->nsteps; i++) {
		struct step *step = &run->steps[i];
		uint16_t counts;

		step->op = read_u16(&r);
		counts = read_u16(&r);
		step->flags = (uint8_t)(counts >> 8);
		read_u32(&r);
		if ((counts & 0xff) > MAX_OPERANDS || step->op >= OP_COUNT)
			return -EPROTO;
		for (unsigned int k = 0; k < (counts & 0xff); k++) {
			struct operand *o = &step->operand[k];

			o->kind = read_u16(&r);
			o->index = read_u16(&r);
			read_u32(&r);
			o->value = read_u64(&r);
			if (o->kind > OPD_DATA || (o->kind == OPD_REG && o->index >= run->nregs) ||
			    (o->kind == OPD_DATA && o->value > data_len))
				return -EPROTO;
		}
	}
	return r.bad || r.left ? -EPROTO : 0;
}

/* Interrupts this thread again and again from @ms on: a signal may come just before a call blocks. */
static int arm(timer_t *timer, uint32_t ms)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = DEADLINE_SIGNAL };
	struct itimerspec when = {
		.it_value = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 },
		.it_interval = { 0, 20000000 },
	};

	ev._sigev_un._tid = (int)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, timer) < 0)
		return -errno;
	return timer_settime(*timer, 0, &when, NULL) < 0 ? -errno : 0;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void program_run(uint8_t *bytes, size_t len, uint32_t thread, struct buf *result, bool *end_thread)
{
	struct slot *slot = slot_find(peer_id, thread), unseen = { 0 };
	struct run *run = calloc(1, sizeof(*run));
	uint64_t start = clock_ns();
	uint32_t limit_ms = 0;
	timer_t timer;
	bool timed = false;
	int err;

	if (!run)
		abort();
	if (!slot)
		slot = &unseen;
	err = parse(run, bytes, len, &limit_ms);
	if (!err && limit_ms) {
		err = arm(&timer, limit_ms);
		timed = !err;
	}
	if (err) {
		run_end(run, RUN_BAD, (uint32_t)-err);
	} else {
		current = run;
		slot->running = 1;
		interpret(run, slot);
		slot->running = 0;
		current = NULL;
	}
	if (timed)
		timer_delete(timer);
	areas_free(run);
	*end_thread = run->flags & PROGRAM_END_THREAD;

	if (err)
		run->nregs = 0;
	buf_reserve(result, 56 + run->nregs * 8 + run->records.len);
	buf_u32(result, run->status);
	buf_u32(result, run->pc);
	buf_u32(result, run->detail);
	buf_u32(result, (uint32_t)run->code);
	buf_u64(result, run->address);
	buf_u64(result, run->executed);
	buf_u64(result, start);
	buf_u64(result, clock_ns());
	buf_u32(result, run->nregs);
	buf_u32(result, (uint32_t)run->records.len);
	buf_put(result, run->regs, run->nregs * 8);
	buf_put(result, run->records.data, run->records.len);
	buf_free(&run->records);
	free(run->steps);
	free(run);
}
