// SPDX-License-Identifier: GPL-2.0
/* Steps that call the kernel, wait, or deal with signals. */
#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint32_t counts[65];

static void count(int signo)
{
	__atomic_fetch_add(&counts[signo], 1, __ATOMIC_RELAXED);
}

void signals_setup(void)
{
	for (int i = 0; i < 65; i++)
		counts[i] = 0;
}

static void call(struct run *run, const struct step *step)
{
	long a[7], result;

	for (unsigned int i = 0; i < 7; i++)
		a[i] = (long)operand_value(run, step, i);
	if (run->next == UINT32_MAX)
		return;
	errno = 0;
	result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
	run_outcome(run, step, 7, result, result == -1 ? errno : 0);
}

static void set_signal(struct run *run, const struct step *step)
{
	uint64_t signo = operand_value(run, step, 0), what = operand_value(run, step, 1);
	struct sigaction sa = { .sa_flags = (int)operand_value(run, step, 2) };

	/* the interpreter needs these itself */
	if (signo > 64 || signo == SIGSEGV || signo == SIGBUS || what > 2) {
		run_end(run, RUN_BAD, EINVAL);
		return;
	}
	sa.sa_handler = what == 2 ? count : what ? SIG_IGN : SIG_DFL;
	if (sigaction((int)signo, &sa, NULL) < 0)
		run_end(run, RUN_BAD, (uint32_t)errno);
}

static void wait_memory(struct run *run, const struct step *step)
{
	const void *at = operand_address(run, step, 0);
	uint64_t how = operand_value(run, step, 1), value = operand_value(run, step, 2);
	uint64_t width = operand_value(run, step, 3), ms = operand_value(run, step, 4), seen;
	struct timespec start, now;
	bool known = true, came = false;

	clock_gettime(CLOCK_MONOTONIC, &start);
	if (run->next == UINT32_MAX)
		return;
	for (uint32_t spins = 1; !run->expired; spins++) {
		seen = width == 4 ? __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE) :
			__atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
		came = compared(how, seen, value, &known);
		if (came || !known)
			break;
		if (spins % 16)
			continue;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((uint64_t)(now.tv_sec - start.tv_sec) * 1000 +
		    (uint64_t)((now.tv_nsec - start.tv_nsec) / 1000000) >= ms)
			break;
	}
	if (!known)
		run_end(run, RUN_BAD, EDOM);
	operand_result(run, step, 5, came);
}

static void poll_one(struct run *run, const struct step *step)
{
	struct pollfd p = { .fd = (int)operand_value(run, step, 0), .events = (short)operand_value(run, step, 1) };
	int n = poll(&p, 1, (int)operand_value(run, step, 2));

	if (n < 0 && step->flags & STEP_STOP)
		run_end(run, RUN_ERROR, (uint32_t)errno);
	operand_result(run, step, 3, n < 0 ? (uint64_t)-errno : (uint64_t)n);
	operand_result(run, step, 4, (uint16_t)p.revents);
}

bool op_system(struct run *run, const struct step *step)
{
	struct timespec ts;
	uint64_t value;

	switch (step->op) {
	case OP_SYSCALL:
		call(run, step);
		return true;
	case OP_CLOCK:
		clock_gettime((clockid_t)operand_value(run, step, 1), &ts);
		operand_result(run, step, 0, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
		return true;
	case OP_SIGNAL:
		set_signal(run, step);
		return true;
	case OP_SIGCOUNT:
		value = operand_value(run, step, 1);
		if (value > 64)
			run_end(run, RUN_BAD, EINVAL);
		else
			operand_result(run, step, 0, __atomic_load_n(&counts[value], __ATOMIC_RELAXED));
		return true;
	case OP_POLL:
		poll_one(run, step);
		return true;
	case OP_SLEEP:
		value = operand_value(run, step, 0);
		ts.tv_sec = (time_t)(value / 1000000000u);
		ts.tv_nsec = (long)(value % 1000000000u);
		nanosleep(&ts, NULL);
		return true;
	case OP_WAIT_MEM:
		wait_memory(run, step);
		return true;
	default:
		return false;
	}
}
