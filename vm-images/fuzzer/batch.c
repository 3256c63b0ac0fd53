// SPDX-License-Identifier: GPL-2.0
/* Many programs, one after the other, each in a process of its own. */
#include "generate.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A killed process that is still there after this long hangs in the kernel. */
#define STUCK_MS	60000

static struct program program;
static struct tally *tally;
static int kmsg = -1;
static unsigned int late;

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* Printed on the console before the program begins: it survives whatever the program does to the kernel. */
static void mark(const char *what, unsigned long long number)
{
	char line[80];
	int length = snprintf(line, sizeof(line), "<12>buslab-fuzz: %s %llu\n", what, number);

	/* not dprintf(): it asks for the position first, and /dev/kmsg has none */
	if (kmsg >= 0 && write(kmsg, line, (size_t)length) != length)
		perror("/dev/kmsg");
}

static bool wait_dead(pid_t pid, long limit_ms)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	long deadline = now_ms() + limit_ms, left = limit_ms;

	while (left > 0 && poll(&poller, 1, (int)left) < 0 && errno == EINTR)
		left = deadline - now_ms();
	close(fd);
	return waitpid(pid, NULL, WNOHANG | __WALL) == pid;
}

/* What the program forked became ours when it ended. */
static bool reap_children(void)
{
	long deadline = now_ms() + STUCK_MS;
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);

		if (pid < 0)
			return true;
		if (pid > 0)
			continue;
		if (now_ms() > deadline)
			return false;
		usleep(500);
	}
}

/* Returns false if something of the program cannot be killed. */
static bool execute(const struct batch *batch)
{
	pid_t pid;

	coverage_reset();
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		session_run(&program, tally, batch->verbose);
	}
	if (pid < 0)
		return true;
	setpgid(pid, pid);
	if (!wait_dead(pid, batch->limit_ms)) {
		late++;
		kill(-pid, SIGKILL);
		if (!wait_dead(pid, STUCK_MS))
			return false;
	}
	kill(-pid, SIGKILL);
	return reap_children();
}

static void stuck(void)
{
	mark("a killed program does not end", 0);
	write_text("/proc/sysrq-trigger", "w");
	write_text("/proc/sysrq-trigger", "t");
}

struct corpus corpus_load(const char *path)
{
	struct corpus corpus = { 0 };
	struct stat st;
	size_t *start, at = 0;
	uint8_t *bytes;
	int fd = path ? open(path, O_RDONLY) : -1;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return corpus;
	bytes = malloc((size_t)st.st_size);
	start = malloc(sizeof(*start) * ((size_t)st.st_size / PROGRAM_HEADER + 1));
	if (!bytes || !start || read(fd, bytes, (size_t)st.st_size) != st.st_size)
		exit(3);
	close(fd);
	while (at < (size_t)st.st_size) {
		size_t size = program_read(&program, bytes + at, (size_t)st.st_size - at);

		if (!size)
			break;
		start[corpus.count++] = at;
		at += size;
	}
	corpus.bytes = bytes;
	corpus.start = start;
	corpus.total = at;
	return corpus;
}

static bool prepare(void)
{
	struct tally *shared = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return false;
	tally = shared;
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGUSR1, SIG_IGN);
	return true;
}

static void print_tally(void)
{
	printf("\"late\":%u,\"injected\":%u,\"heldFaults\":%u,\"commands\":{", late, tally->injected,
	       tally->held_faults);
	for (int i = 0; i < CMD_COUNT; i++)
		printf("%s\"%s\":[%u,%u]", i ? "," : "", commands[i].name, tally->tried[i], tally->done[i]);
	printf("},\"errors\":{");
	for (int i = 0; i < CMD_COUNT; i++) {
		const char *between = "";

		printf("%s\"%s\":{", i ? "," : "", commands[i].name);
		for (int n = 0; n < MAX_ERRNO; n++) {
			if (!tally->errors[i][n])
				continue;
			printf("%s\"%d\":%u", between, n, tally->errors[i][n]);
			between = ",";
		}
		printf("}");
	}
	printf("},\"ops\":[");
	for (int i = 0; i < OP_COUNT; i++)
		printf("%s[%u,%u]", i ? "," : "", tally->ops[i], tally->ops[i] - tally->failed[i]);
	printf("]");
}

static void append(const char *path)
{
	static uint8_t bytes[256 << 10];
	size_t size = program_write(&program, bytes, sizeof(bytes));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0)
		return;
	if (size <= sizeof(bytes) && write(fd, bytes, size) != (ssize_t)size)
		perror(path);
	close(fd);
}

int batch_run(const struct batch *batch)
{
	struct corpus corpus = corpus_load(batch->corpus);
	bool covered = batch->seen && coverage_open();
	unsigned int fresh = 0, edges, blocks;
	long began = now_ms();
	uint64_t done = 0;
	bool alive = true;

	if (!prepare())
		return 3;
	if (covered)
		coverage_load(batch->seen);
	for (; alive && done < batch->count && now_ms() - began < batch->milliseconds; done++) {
		program_generate(&program, batch->seed, batch->first + done, batch->guided ? &corpus : NULL);
		mark("program", batch->first + done);
		alive = execute(batch);
		if (covered && coverage_merge()) {
			fresh++;
			if (batch->fresh)
				append(batch->fresh);
		}
	}
	if (!alive)
		stuck();
	if (covered)
		coverage_store(batch->seen);
	coverage_count(&edges, &blocks);
	printf("{\"executed\":%llu,\"ms\":%ld,\"stuck\":%s,\"covered\":%s,\"fresh\":%u,\"edges\":%u,\"blocks\":%u,",
	       (unsigned long long)done, now_ms() - began, alive ? "false" : "true", covered ? "true" : "false", fresh,
		edges, blocks);
	print_tally();
	printf("}\n");
	return 0;
}

int batch_replay(const struct batch *batch, const char *file)
{
	struct corpus corpus = corpus_load(file);
	bool alive = true;

	if (!corpus.count) {
		fprintf(stderr, "fuzzer: %s holds no program\n", file);
		return 2;
	}
	if (!prepare())
		return 3;
	for (unsigned int turn = 0; alive && turn < batch->times; turn++) {
		for (size_t i = 0; alive && i < corpus.count; i++) {
			program_read(&program, corpus.bytes + corpus.start[i], corpus.total - corpus.start[i]);
			mark("replay", i);
			alive = execute(batch);
		}
	}
	if (!alive)
		stuck();
	printf("{\"programs\":%zu,\"stuck\":%s,", corpus.count, alive ? "false" : "true");
	print_tally();
	printf("}\n");
	return 0;
}

int batch_setup(void)
{
	static const char *const settings[][2] = {
		{ "/proc/sys/kernel/printk_devkmsg", "on\n" },
		{ "/proc/sys/kernel/hung_task_timeout_secs", "45" },
		{ "/proc/sys/kernel/hung_task_warnings", "-1" },
		{ "/proc/sys/kernel/core_pattern", "|/bin/false" },
		/* nothing but what a task asks for by its own fail-nth */
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "0" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
		{ "/sys/kernel/debug/kmemleak", "clear" },
	};

	printf("{\"faults\":%s,\"kcov\":%s,\"kmemleak\":%s}\n", access("/proc/self/fail-nth", W_OK) ? "false" : "true",
	       access("/sys/kernel/debug/kcov", F_OK) ? "false" : "true", access("/sys/kernel/debug/kmemleak", F_OK) ?
		"false" : "true");
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (!write_text(settings[i][0], settings[i][1]) && access(settings[i][0], F_OK) == 0)
			fprintf(stderr, "fuzzer: %s cannot be written: %s\n", settings[i][0], strerror(errno));
	return 0;
}
