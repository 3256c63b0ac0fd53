// SPDX-License-Identifier: GPL-2.0
/* A program in words. */
#include "command.h"
#include "program.h"

#include <stdio.h>
#include <string.h>

static const char *const ops[OP_COUNT] = {
	"nop", "open", "ioctl", "close", "dup", "mmap", "munmap", "mprotect", "madvise", "touch", "poll", "makefd",
		"scm", "epoll",
	"uring", "memfd", "fork", "kill", "setid", "node", "mount", "sleep", "proc", "unmap-data",
};

static const char *const places[PLACE_COUNT] = { "plain", "edge", "split", "race", "readonly", "unaligned", "shared",
	"bad" };
static const char *const sandboxes[SANDBOX_COUNT] = { "root", "uid 1000", "root of a user namespace",
	"root, threads 2 and 3 as uid 1000 and 1001" };
static const char *const patches[PATCH_COUNT] = { "data", "zone", "fd", "id", "offset", "time", "cookie", "sender",
	"pool" };
static const char *const fd_kinds[FD_KIND_COUNT] = {
	"pipe", "socket pair", "memfd", "sealed memfd", "eventfd", "epoll", "O_PATH", "io_uring", "timerfd",
		"signalfd", "/dev/null",
	"directory", "/proc/self/mem", "inotify", "pidfd", "userfaultfd", "file",
};

static void show_data(const struct call *call)
{
	for (uint16_t at = 0; at < call->bytes; at = (uint16_t)(at + 8)) {
		uint64_t word = 0;
		size_t n = call->bytes - at < 8 ? (size_t)(call->bytes - at) : 8;
		bool patched = false;

		memcpy(&word, call->data + at, n);
		for (int i = 0; i < call->patches; i++)
			patched |= (call->patch[i].at & ~7) == at;
		if (!word && !patched)
			continue;
		printf("      %4u: %016llx  ", at, (unsigned long long)word);
		for (size_t i = 0; i < n; i++) {
			uint8_t c = call->data[at + i];

			putchar(c >= 0x20 && c < 0x7f ? c : '.');
		}
		for (int i = 0; i < call->patches; i++)
			if ((call->patch[i].at & ~7) == at)
				printf("  @%u = %s of %u, %+d", call->patch[i].at, patches[call->patch[i].kind],
				       call->patch[i].slot, call->patch[i].add);
		printf("\n");
	}
}

void program_show(const struct program *program)
{
	printf("%u calls as %s\n", program->calls, sandboxes[program->sandbox]);
	for (uint16_t i = 0; i < program->calls; i++) {
		const struct call *call = &program->call[i];

		printf("%3u  thread %u  %s", i, call->thread, ops[call->op]);
		if (call->op == OP_IOCTL && call->arg[1] < CMD_COUNT)
			printf(" %s on slot %u, arguments %#x %#x", commands[call->arg[1]].name, call->arg[0],
			       call->arg[2], call->arg[3]);
		else if (call->op == OP_MAKEFD)
			printf(" %s in slot %u, detail %u", fd_kinds[call->arg[1] % FD_KIND_COUNT], call->arg[0],
			       call->arg[2]);
		else
			printf(" %#x %#x %#x %#x", call->arg[0], call->arg[1], call->arg[2], call->arg[3]);
		if (call->bytes)
			printf(", %u bytes, %s", call->bytes, places[call->place]);
		if (call->fail)
			printf(", allocation %u fails", call->fail);
		printf("%s%s%s\n", (call->flags & 1) ? ", after a join" : "", (call->flags & 2) ? ", twice" : "",
		       (call->flags & 4) ? ", 16 times" : "");
		show_data(call);
	}
}
