// SPDX-License-Identifier: GPL-2.0
/* What the kernel counted: system calls, context switches, bytes copied across the border of the kernel. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACING	"/sys/kernel/tracing"
#define GROUP	TRACING "/events/buslab_bench"

/*
 * The functions that carry payload across the border of the kernel, and which
 * argument is the size. copy_from_user() and its like cannot be probed: the
 * kernel's lib/ is closed to its tracer. So each is the last one before those,
 * and nothing is counted twice. The last two are the module's own: payload
 * that it takes from the sender, and what it writes to a pool itself.
 */
static const struct {
	const char *name;
	const char *function;
	unsigned int size_argument;
	bool optional;
} probes[] = {
	{ "socket_in", "skb_copy_datagram_from_iter", 4, false },
	{ "socket_out", "skb_copy_datagram_iter", 4, false },
	{ "mqueue_in", "load_msg", 2, true },
	{ "mqueue_out", "store_msg", 3, true },
	{ "binder_in", "binder_alloc_copy_user_to_buffer", 5, true },
	{ "slice_user", "kdbus_slice_write_user", 4, true },
	{ "slice", "kdbus_slice_write", 4, true },
};

struct watch {
	unsigned int n;
	pid_t pids[8];
	int calls[8];
};

static char why[160];

const char *count_error(void)
{
	return why;
}

static int complain(const char *what)
{
	snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
	return -1;
}

static int write_text(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	close(fd);
	return done < 0 ? -1 : 0;
}

static int64_t read_number(const char *path, const char *label)
{
	char line[256];
	FILE *file = fopen(path, "re");
	int64_t value = -1;

	if (!file)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, label, strlen(label)))
			value = strtoll(line + strlen(label), NULL, 10);
	fclose(file);
	return value;
}

static int open_calls(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
	};
	int64_t id = read_number(TRACING "/events/raw_syscalls/sys_enter/id", "");

	if (id < 0)
		return complain("raw_syscalls:sys_enter");
	attr.config = (uint64_t)id;
	return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

struct watch *watch_open(const pid_t *pids, unsigned int n)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w || n > 8)
		return NULL;
	for (; w->n < n; w->n++) {
		w->pids[w->n] = pids[w->n];
		w->calls[w->n] = open_calls(pids[w->n]);
		if (w->calls[w->n] < 0) {
			complain("perf_event_open");
			watch_close(w);
			return NULL;
		}
	}
	return w;
}

void watch_read(const struct watch *w, struct counts *counts)
{
	char path[64];

	*counts = (struct counts){ 0 };
	for (unsigned int i = 0; i < w->n; i++) {
		uint64_t calls = 0;

		if (read(w->calls[i], &calls, sizeof(calls)) == sizeof(calls))
			counts->syscalls += calls;
		snprintf(path, sizeof(path), "/proc/%d/status", w->pids[i]);
		counts->switches += (uint64_t)read_number(path, "voluntary_ctxt_switches:") +
				    (uint64_t)read_number(path, "nonvoluntary_ctxt_switches:");
	}
}

void watch_close(struct watch *w)
{
	for (unsigned int i = 0; i < w->n; i++)
		close(w->calls[i]);
	free(w);
}

int copies_open(const pid_t *pids, unsigned int n)
{
	char text[256], *end = text;

	mount("tracefs", TRACING, "tracefs", 0, NULL); /* is there already, as a rule */
	write_text(TRACING "/tracing_on", "0", 0);
	write_text(GROUP "/enable", "0", 0);
	if (write_text(TRACING "/kprobe_events", "", O_TRUNC) < 0)
		return complain("kprobe_events");
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		snprintf(text, sizeof(text), "p:buslab_bench/%s %s n=$arg%u:u64\n", probes[i].name,
			 probes[i].function, probes[i].size_argument);
		if (write_text(TRACING "/kprobe_events", text, O_APPEND) < 0 && !probes[i].optional)
			return complain(probes[i].function);
	}
	for (unsigned int i = 0; i < n; i++)
		end += sprintf(end, "%scommon_pid==%d", i ? "||" : "", pids[i]);
	if (write_text(GROUP "/filter", text, 0) < 0)
		return complain("filter of the trace events");
	if (write_text(TRACING "/buffer_size_kb", "32768", 0) < 0)
		return complain("buffer_size_kb");
	write_text(TRACING "/options/overwrite", "0", 0);
	return write_text(GROUP "/enable", "1", 0) < 0 ? complain("enabling the trace events") : 0;
}

void copies_start(void)
{
	write_text(TRACING "/trace", "", O_TRUNC);
	write_text(TRACING "/tracing_on", "1", 0);
}

/* Bytes since copies_start(); -1 when some were not recorded. */
int64_t copies_stop(void)
{
	char line[256], path[96];
	int64_t sum = 0;
	FILE *file;

	write_text(TRACING "/tracing_on", "0", 0);
	for (int cpu = 0; cpu < 64; cpu++) {
		snprintf(path, sizeof(path), TRACING "/per_cpu/cpu%d/stats", cpu);
		if (read_number(path, "overrun:") > 0 || read_number(path, "dropped events:") > 0) {
			snprintf(why, sizeof(why), "the trace buffer was too small");
			return -1;
		}
	}
	file = fopen(TRACING "/trace", "re");
	if (!file)
		return complain("trace");
	while (fgets(line, sizeof(line), file)) {
		const char *size = strstr(line, " n=");

		if (line[0] != '#' && size)
			sum += strtoll(size + 3, NULL, 10);
	}
	fclose(file);
	return sum;
}

void copies_close(void)
{
	write_text(GROUP "/enable", "0", 0);
	write_text(TRACING "/kprobe_events", "", O_TRUNC);
	write_text(TRACING "/buffer_size_kb", "1", 0);
	write_text(TRACING "/tracing_on", "1", 0);
}
