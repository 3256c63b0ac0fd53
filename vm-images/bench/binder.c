// SPDX-License-Identifier: GPL-2.0
/* The binder driver of the mainline kernel, spoken to without a library: the server is the context manager. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/android/binder.h>
#include <linux/android/binderfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT		"/dev/binderfs"
/* The most that binder grants; one-way messages may use half of it. */
#define BUFFER_BYTES	(4u << 20)

struct binder_side {
	int fd;
	uintptr_t held;	/* buffer of the last message, given back with the next command */
};

/* What goes in and comes out with one ioctl; packed, as commands are 4 bytes and their arguments not aligned. */
struct command {
	uint32_t free_code;
	binder_uintptr_t free_buffer;
	uint32_t code;
	struct binder_transaction_data data;
} __attribute__((__packed__));

static struct binder_side *side_of(struct pair *p)
{
	return p->own;
}

/* A device for each pair, as a device has one context manager. */
static int prepare(struct pair *p)
{
	struct binderfs_device device = { 0 };
	static unsigned int made;
	char name[32];
	int control;

	mkdir(ROOT, 0755);
	if (!made && mount("binder", ROOT, "binder", 0, NULL) < 0 && errno != EBUSY)
		return check(p, false, "mounting binderfs");
	snprintf(name, sizeof(name), "bench%d-%u", getpid(), made++);
	memcpy(device.name, name, sizeof(name));
	control = open(ROOT "/binder-control", O_RDWR | O_CLOEXEC);
	if (check(p, control >= 0 && !ioctl(control, BINDER_CTL_ADD, &device), "adding a binder device") < 0)
		return -1;
	close(control);
	snprintf(p->board->name, sizeof(p->board->name), ROOT "/%s", name);
	return 0;
}

static void side_open(struct pair *p)
{
	struct binder_side *side = calloc(1, sizeof(*side));

	must(p, side, "memory");
	p->own = side;
	side->fd = open(p->board->name, O_RDWR | O_CLOEXEC);
	must(p, side->fd >= 0, "opening the binder device");
	must(p, mmap(NULL, BUFFER_BYTES, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, side->fd, 0) != MAP_FAILED,
	     "mmap of binder");
}

static void serve_open(struct pair *p)
{
	struct flat_binder_object manager = { .flags = FLAT_BINDER_FLAG_ACCEPTS_FDS };
	uint32_t enter = BC_ENTER_LOOPER;
	struct binder_write_read wr = { .write_size = sizeof(enter), .write_buffer = (uintptr_t)&enter };

	side_open(p);
	must(p, !ioctl(side_of(p)->fd, BINDER_SET_CONTEXT_MGR_EXT, &manager), "becoming context manager");
	must(p, !ioctl(side_of(p)->fd, BINDER_WRITE_READ, &wr), "entering the loop");
}

/* One ioctl; returns the message that came, with its buffer held, or NULL if only books were kept. */
static const struct binder_transaction_data *exchange(struct pair *p, const void *write, size_t size,
						      uint32_t *in, size_t in_size)
{
	struct binder_write_read wr = {
		.write_size = size, .write_buffer = (uintptr_t)write,
		.read_size = in_size, .read_buffer = (uintptr_t)in,
	};
	const struct binder_transaction_data *found = NULL;

	must(p, !ioctl(side_of(p)->fd, BINDER_WRITE_READ, &wr), "BINDER_WRITE_READ");
	for (const uint8_t *at = (const uint8_t *)in, *end = at + wr.read_consumed; at < end;) {
		uint32_t code;

		memcpy(&code, at, sizeof(code));
		at += sizeof(code);
		if (code == BR_DEAD_REPLY || code == BR_FAILED_REPLY || code == BR_FROZEN_REPLY) {
			errno = EIO;
			fail(p, "binder refused a transaction");
		}
		if (code == BR_TRANSACTION || code == BR_REPLY)
			found = (const struct binder_transaction_data *)at;
		at += _IOC_SIZE(code);
	}
	return found;
}

/* The buffer of the message before is given back in the same ioctl. */
static const void *fill(struct pair *p, struct command *c, uint32_t code, uint32_t flags, size_t *size)
{
	static const binder_size_t zero_offset;
	static struct binder_fd_object object;
	struct binder_side *side = side_of(p);
	const bool by_fd = pair_is_by_fd(p);

	memset(c, 0, sizeof(*c));
	c->free_code = BC_FREE_BUFFER;
	c->free_buffer = side->held;
	c->code = code;
	c->data.code = 1;
	c->data.flags = flags | TF_ACCEPT_FDS;
	c->data.data_size = by_fd ? sizeof(object) : p->bytes;
	c->data.data.ptr.buffer = by_fd ? (uintptr_t)&object : (uintptr_t)p->data;
	if (by_fd) {
		object.hdr.type = BINDER_TYPE_FD;
		object.fd = (uint32_t)p->memfd;
		c->data.offsets_size = sizeof(zero_offset);
		c->data.data.ptr.offsets = (uintptr_t)&zero_offset;
	}
	if (side->held) {
		side->held = 0;
		*size = sizeof(*c);
		return c;
	}
	*size = sizeof(*c) - offsetof(struct command, code);
	return (const uint8_t *)c + offsetof(struct command, code);
}

static void look_at(struct pair *p, const struct binder_transaction_data *data)
{
	struct binder_transaction_data copy;
	struct binder_fd_object object;

	memcpy(&copy, data, sizeof(copy));
	side_of(p)->held = copy.data.ptr.buffer;
	if (pair_is_by_fd(p)) {
		memcpy(&object, (const void *)(uintptr_t)copy.data.ptr.buffer, sizeof(object));
		touch_fd(p, (int)object.fd);
	} else {
		touch((const uint8_t *)(uintptr_t)copy.data.ptr.buffer, copy.data_size);
	}
}

static void transact(struct pair *p, uint32_t code, uint32_t flags, bool wants_message)
{
	const struct binder_transaction_data *message;
	struct command c;
	uint32_t in[64];
	size_t size;
	const void *write = fill(p, &c, code, flags, &size);

	message = exchange(p, write, size, in, sizeof(in));
	while (wants_message && !message)
		message = exchange(p, NULL, 0, in, sizeof(in));
	if (message)
		look_at(p, message);
}

/* Waits for a message, giving back the buffer of the one before. */
static void take(struct pair *p)
{
	struct binder_side *side = side_of(p);
	const struct binder_transaction_data *message;
	struct command c = { .free_code = BC_FREE_BUFFER, .free_buffer = side->held };
	uint32_t in[64];

	message = exchange(p, &c, side->held ? offsetof(struct command, code) : 0, in, sizeof(in));
	side->held = 0;
	while (!message)
		message = exchange(p, NULL, 0, in, sizeof(in));
	look_at(p, message);
}

static void call(struct pair *p)
{
	transact(p, BC_TRANSACTION, 0, true);
}

static void post(struct pair *p)
{
	transact(p, BC_TRANSACTION, TF_ONE_WAY, false);
}

/* The read that goes with an answer takes the note that it was taken; only the next one waits for a request. */
static void serve(struct pair *p)
{
	take(p);
	transact(p, BC_REPLY, 0, false);
}

const struct transport binder_transport = {
	.name = "binder",
	.passes_fds = true,
	.prepare = prepare,
	.serve_open = serve_open,
	.call_open = side_open,
	.call = call,
	.serve = serve,
	.post = post,
	.take = take,
};
