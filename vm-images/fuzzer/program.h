/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: A program is a list of calls. As bytes, all little endian:
 *
 *	u32 magic "BFZ1", u32 bytes of the whole, u16 calls, u8 sandbox,
 *	u8[5] zero
 *	per call:
 *	  u8 op, u8 thread, u8 flags, u8 fail, u8 place, u8 patches, u16 bytes
 *	  u32[4] arguments
 *	  per patch: u16 at, u8 kind, u8 slot, s32 add
 *	  bytes, then zeros up to a multiple of 4
 *
 * orchestration/fuzz/program.ts reads and writes the same. Programs laid one
 * behind the other are a corpus.
 */
#ifndef BUSLAB_FUZZ_PROGRAM_H
#define BUSLAB_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_MAGIC		0x315a4642u
#define PROGRAM_HEADER		16u
#define CALL_HEADER		24u
#define MAX_CALLS		48
#define MAX_PATCHES		40
#define MAX_DATA		4096
#define SLOTS			24
#define THREADS			4

/* What a call does; its arguments are described in execute.c and show.c. */
enum op {
	OP_NOP,
	OP_OPEN,	/* slot, flags; data: path below the mount */
	OP_IOCTL,	/* slot, command, raw number if command is out of range; data */
	OP_CLOSE,	/* slot */
	OP_DUP,		/* from, to */
	OP_MMAP,	/* slot, pages, protection, page offset and flags */
	OP_MUNMAP,	/* slot, first page, pages */
	OP_MPROTECT,	/* slot, protection */
	OP_MADVISE,	/* slot, advice */
	OP_TOUCH,	/* slot: read, write, fork over the mapping */
	OP_POLL,	/* slot, milliseconds */
	OP_MAKEFD,	/* slot, kind, detail */
	OP_SCM,		/* socket slot, slot sent, 1 = receive */
	OP_EPOLL,	/* epoll slot, slot watched, operation */
	OP_URING,	/* ring slot, slot polled, opcode */
	OP_MEMFD,	/* slot, action, size */
	OP_FORK,	/* what the child does, slot */
	OP_KILL,	/* child, signal */
	OP_SETID,	/* uid */
	OP_NODE,	/* action, mode; data: path below the mount */
	OP_MOUNT,	/* action */
	OP_SLEEP,	/* microseconds */
	OP_PROC,	/* slot: fdinfo, fstat, fcntl */
	OP_UNMAP_DATA,	/* call whose data goes away, how */
	OP_COUNT,
};

/* Bits of call.flags. */
enum {
	CALL_JOIN	= 1 << 0, /* first wait for the other threads */
	CALL_TWICE	= 1 << 1, /* do it again at once */
	CALL_REPEAT	= 1 << 2, /* do it 16 times */
};

/* Where data lies in memory while the kernel reads it. */
enum place {
	PLACE_PLAIN,
	PLACE_EDGE,	/* ends where an inaccessible page begins */
	PLACE_SPLIT,	/* its end is on a page held by userfaultfd */
	PLACE_RACE,	/* one word is changed all the time */
	PLACE_READONLY,
	PLACE_UNALIGNED,
	PLACE_SHARED,	/* in a memfd that is truncated at random */
	PLACE_BAD,	/* no memory at all */
	PLACE_COUNT,
};

/* A number put into data at run time. */
enum patch_kind {
	PATCH_DATA,	/* address of this call's data, plus add */
	PATCH_ZONE,	/* address in a zone of memory: slot is the zone */
	PATCH_FD,	/* descriptor of a slot, 32 bits */
	PATCH_ID,	/* id of the connection of a slot, plus add */
	PATCH_OFFSET,	/* last pool offset seen on a slot, plus add */
	PATCH_TIME,	/* now plus add microseconds, in nanoseconds */
	PATCH_COOKIE,	/* cookie of the last message received on a slot */
	PATCH_SENDER,	/* sender of that message */
	PATCH_POOL,	/* address of a slot's mapping, plus add */
	PATCH_COUNT,
};

enum zone {
	ZONE_PLAIN,	/* 2 MiB, readable and writable */
	ZONE_HELD,	/* pages held by userfaultfd */
	ZONE_NONE,	/* inaccessible */
	ZONE_SHARED,	/* a memfd that is truncated at random */
	ZONE_RACE,	/* changed all the time */
	ZONE_KERNEL,	/* an address of the kernel */
	ZONE_HOLE,	/* nothing is mapped there */
	ZONE_COUNT,
};

/* Kinds of descriptors that OP_MAKEFD makes. */
enum fd_kind {
	FD_PIPE, FD_SOCKET, FD_MEMFD, FD_MEMFD_SEALED, FD_EVENT, FD_EPOLL, FD_PATH, FD_URING, FD_TIMER, FD_SIGNAL,
		FD_NULL,
	FD_DIR, FD_PROC_MEM, FD_INOTIFY, FD_PIDFD, FD_USERFAULT, FD_FILE, FD_KIND_COUNT,
};

struct patch {
	uint16_t at;
	uint8_t kind;
	uint8_t slot;
	int32_t add;
};

struct call {
	uint8_t op;
	uint8_t thread;
	uint8_t flags;
	uint8_t fail;
	uint8_t place;
	uint8_t patches;
	uint16_t bytes;
	uint32_t arg[4];
	struct patch patch[MAX_PATCHES];
	uint8_t data[MAX_DATA];
};

/* Who the program is. */
enum sandbox {
	SANDBOX_ROOT,
	SANDBOX_USER,	/* uid 1000 in all threads */
	SANDBOX_USERNS,	/* root of a new user and mount namespace, with a mount of its own */
	SANDBOX_MIXED,	/* root; the threads 2 and 3 are uids 1000 and 1001 */
	SANDBOX_COUNT,
};

struct program {
	uint16_t calls;
	uint8_t sandbox;
	struct call call[MAX_CALLS];
};

/* Bytes needed; writes nothing when room is too small. */
size_t program_write(const struct program *program, uint8_t *out, size_t room);
/* Bytes read, 0 if they are no program. */
size_t program_read(struct program *program, const uint8_t *in, size_t bytes);
/* Prints it for people. */
void program_show(const struct program *program);
void program_remove(struct program *program, uint16_t at);
/* Makes room in data for n zero bytes, or takes n away; patches move along. */
bool call_insert(struct call *call, uint16_t at, uint16_t n);
void call_remove(struct call *call, uint16_t at, uint16_t n);

#endif
