// SPDX-License-Identifier: GPL-2.0
/* What the threads of a peer are doing, from /proc and the arena. */
#define _GNU_SOURCE
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"

/*
 * What the threads of a peer are doing. Reply, for each thread: u32 number
 * (~0 = not one of ours), u32 tid inside, u32 tid outside, u32 state letter,
 * u32 1 = runs a program, u32 step, u64 steps done, string /proc/.../syscall,
 * string wchan.
 */
void state_request(const struct frame *frame, struct peer *peer)
{
	char path[64];
	struct buf b = { 0 };
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)peer->pid);
	dir = opendir(path);
	if (!dir) {
		reply_error(session, frame->request, errno, "opendir %s: %s", path, strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		struct slot *slot = NULL;
		char text[2048], *at;
		uint32_t inner = 0, state = '?';

		if (entry->d_name[0] == '.')
			continue;
		thread_text(peer->pid, entry->d_name, "status", text, sizeof(text));
		at = strstr(text, "\nState:\t");
		if (at)
			state = (uint8_t)at[8];
		at = strstr(text, "\nNSpid:");
		if (at) {
			at += 7;
			at[strcspn(at, "\n")] = 0;
			inner = (uint32_t)atoi(strrchr(at, '\t') + 1);
		}
		for (uint32_t i = 0; i < ARENA_SLOTS && !slot; i++) {
			struct slot *s = (struct slot *)(void *)arena + i;

			if (s->peer == peer->id && s->tid == inner)
				slot = s;
		}
		buf_u32(&b, slot ? slot->thread : UINT32_MAX);
		buf_u32(&b, inner);
		buf_u32(&b, (uint32_t)atoi(entry->d_name));
		buf_u32(&b, state);
		buf_u32(&b, slot ? slot->running : 0);
		buf_u32(&b, slot ? slot->step : 0);
		buf_u64(&b, slot ? slot->executed : 0);
		thread_text(peer->pid, entry->d_name, "syscall", text, sizeof(text));
		text[strcspn(text, "\n")] = 0;
		buf_str(&b, text);
		thread_text(peer->pid, entry->d_name, "wchan", text, sizeof(text));
		buf_str(&b, text);
	}
	closedir(dir);
	reply_ok(session, frame->request, &b);
	buf_free(&b);
}
