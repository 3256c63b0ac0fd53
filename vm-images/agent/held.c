// SPDX-License-Identifier: GPL-2.0
/* Whether the kernel holds a process that was killed: a thread sleeps, and has not moved since the look before. */
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void thread_text(pid_t pid, const char *tid, const char *file, char *text, size_t size)
{
	int fd _cleanup_close_ = -1;
	char path[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = 0;
}

/* State of a killed thread that still sleeps, '?' when there is none. */
static char look(pid_t pid, struct hold *now)
{
	char path[64], text[2048];
	struct dirent *entry;
	char state = '?';
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && state == '?' && (entry = readdir(dir))) {
		const char *at, *sleeps;

		if (entry->d_name[0] == '.')
			continue;
		thread_text(pid, entry->d_name, "status", text, sizeof(text));
		at = strstr(text, "\nState:\t");
		sleeps = strstr(text, "\nvoluntary_ctxt_switches:");
		if (!at || !sleeps || !strchr("SD", at[8]))
			continue;
		state = at[8];
		now->tid = atoi(entry->d_name);
		now->sleeps = strtoul(strchr(sleeps, '\t') + 1, NULL, 10);
		thread_text(pid, entry->d_name, "wchan", now->place, sizeof(now->place));
	}
	if (dir)
		closedir(dir);
	return state;
}

bool held(pid_t pid, struct hold *hold, struct buf *why)
{
	struct hold now = { 0 };
	char state = look(pid, &now), text[256];
	bool same = state != '?' && now.tid == hold->tid && now.sleeps == hold->sleeps &&
		!strcmp(now.place, hold->place);
	int n;

	*hold = now;
	if (!same)
		return false;
	n = snprintf(text, sizeof(text),
		     "process %d outlives SIGKILL: the kernel holds its thread %d (%c) in %s, unmoved for %u ms",
		     (int)pid, (int)now.tid, state,
		     *now.place && strcmp(now.place, "0") ? now.place : "a place without a name", HELD_MS);
	buf_put(why, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	return true;
}
