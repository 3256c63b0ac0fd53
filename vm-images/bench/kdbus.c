// SPDX-License-Identifier: GPL-2.0
/* kdbus, spoken to without a library. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kdbus.h"

#define POOL_BYTES	(16u << 20)
#define BLOOM_BYTES	64
#define BUS_NAME	"bench"
/* No call of a benchmark may time out in the bus. */
#define NEVER_NS	(3600ull * 1000000000ull)

/* What a receiver gets by descriptor is followed by nothing. */
struct kdbus_end {
	int fd;
	const uint8_t *pool;
	uint64_t id;
};

struct kdbus_side {
	struct kdbus_end main;
	struct kdbus_end *others;
	uint64_t cookie;
	uint64_t deadline;
	uint64_t buffer[64];
};

static struct kdbus_side *side_of(struct pair *p)
{
	return p->own;
}

static char *bus_path(char *path, size_t size)
{
	snprintf(path, size, BUS_ROOT "/%u-" BUS_NAME "/bus", getuid());
	return path;
}

/* The bus lives as long as this descriptor, that is, as long as the controller. */
static int make_bus(struct pair *p)
{
	static int owner = -1;
	struct {
		struct kdbus_cmd cmd;
		uint64_t bloom_size, bloom_type;
		struct kdbus_bloom_parameter bloom;
		uint64_t name_size, name_type;
		char name[32];
	} make = {
		.bloom_size = KDBUS_ITEM_SIZE(sizeof(make.bloom)),
		.bloom_type = KDBUS_ITEM_BLOOM_PARAMETER,
		.bloom = { .size = BLOOM_BYTES, .n_hash = 1 },
		.name_type = KDBUS_ITEM_MAKE_NAME,
	};
	int length;

	if (owner >= 0)
		return 0;
	length = snprintf(make.name, sizeof(make.name), "%u-" BUS_NAME, getuid());
	make.name_size = KDBUS_ITEM_SIZE((uint64_t)length + 1);
	make.cmd.size = offsetof(typeof(make), name) + ((uint64_t)length + 8) / 8 * 8;

	owner = open(BUS_ROOT "/control", O_RDWR | O_CLOEXEC);
	return check(p, owner >= 0 && !ioctl(owner, KDBUS_CMD_BUS_MAKE, &make), "making a bus");
}

static void give_back(struct pair *p, const struct kdbus_end *end, uint64_t offset)
{
	struct kdbus_cmd_free cmd = { .size = sizeof(cmd), .offset = offset };

	must(p, !ioctl(end->fd, KDBUS_CMD_FREE, &cmd), "FREE");
}

static void hello(struct pair *p, struct kdbus_end *end, size_t pool)
{
	struct kdbus_cmd_hello cmd = {
		.size = sizeof(cmd),
		.flags = KDBUS_HELLO_ACCEPT_FD,
		.attach_flags_send = _KDBUS_ATTACH_ALL,
		.pool_size = pool,
	};
	char path[64];

	end->fd = open(bus_path(path, sizeof(path)), O_RDWR | O_CLOEXEC);
	must(p, end->fd >= 0 && !ioctl(end->fd, KDBUS_CMD_HELLO, &cmd), "HELLO");
	end->id = cmd.id;
	end->pool = mmap(NULL, pool, PROT_READ, MAP_SHARED, end->fd, 0);
	must(p, end->pool != MAP_FAILED, "mmap of a pool");
	give_back(p, end, cmd.offset);
}

static void side_open(struct pair *p)
{
	struct kdbus_side *side = calloc(1, sizeof(*side));

	must(p, side, "memory");
	p->own = side;
	hello(p, &side->main, POOL_BYTES);
	side->deadline = now_ns() + NEVER_NS;
}

/* A mask with the bit of a signal that is sent, or with one of a signal that is not. */
static void add_match(struct pair *p, const struct kdbus_end *end, bool matching)
{
	struct {
		struct kdbus_cmd_match cmd;
		uint64_t size, type;
		uint64_t mask[BLOOM_BYTES / 8];
	} match = {
		.cmd = { .size = sizeof(match), .cookie = 1 },
		.size = KDBUS_ITEM_SIZE(BLOOM_BYTES),
		.type = KDBUS_ITEM_BLOOM_MASK,
	};

	match.mask[BLOOM_BYTES / 16] = matching ? 1 : 2;
	must(p, !ioctl(end->fd, KDBUS_CMD_MATCH_ADD, &match), "MATCH_ADD");
}

static void kdbus_serve_open(struct pair *p)
{
	struct kdbus_side *side;

	side_open(p);
	side = side_of(p);
	p->board->id = side->main.id;
	if (p->what != MULTICAST)
		return;

	add_match(p, &side->main, p->matching > 0);
	side->others = calloc(p->receivers, sizeof(*side->others));
	must(p, side->others, "memory");
	for (unsigned int i = 1; i < p->receivers; i++) {
		hello(p, &side->others[i], 1u << 20);
		add_match(p, &side->others[i], i < p->matching);
	}
}

/* A message with the payload of the pair. */
static struct kdbus_msg *build(struct pair *p, uint64_t dst)
{
	struct kdbus_side *side = side_of(p);
	struct kdbus_msg *msg = (struct kdbus_msg *)side->buffer;
	struct kdbus_item *item = msg->items;

	memset(msg, 0, sizeof(*msg));
	msg->dst_id = dst;
	msg->payload_type = KDBUS_PAYLOAD_DBUS;
	msg->cookie = ++side->cookie;
	msg->size = sizeof(*msg);
	if (pair_is_by_fd(p)) {
		item->size = KDBUS_ITEM_SIZE(sizeof(item->memfd));
		item->type = KDBUS_ITEM_PAYLOAD_MEMFD;
		item->memfd = (struct kdbus_memfd){ .size = p->bytes, .fd = p->memfd };
		msg->size += item->size;
	} else if (p->bytes) {
		item->size = KDBUS_ITEM_SIZE(sizeof(item->vec));
		item->type = KDBUS_ITEM_PAYLOAD_VEC;
		item->vec = (struct kdbus_vec){ .size = p->bytes, .address = (uintptr_t)p->data };
		msg->size += item->size;
	}
	return msg;
}

static void look_at(struct pair *p, const struct kdbus_msg *msg)
{
	const struct kdbus_item *item = msg->items;

	if (!p->bytes)
		return;
	if (item->type == KDBUS_ITEM_PAYLOAD_OFF)
		touch((const uint8_t *)msg + item->vec.offset, item->vec.size);
	else
		touch_fd(p, item->memfd.fd);
}

static void send_message(struct pair *p, struct kdbus_cmd_send *cmd, struct kdbus_msg *msg, const char *what)
{
	cmd->size = sizeof(*cmd);
	cmd->msg_address = (uintptr_t)msg;
	must(p, !ioctl(side_of(p)->main.fd, KDBUS_CMD_SEND, cmd), what);
}

static void kdbus_call(struct pair *p)
{
	struct kdbus_side *side = side_of(p);
	struct kdbus_cmd_send cmd = { .flags = KDBUS_SEND_SYNC_REPLY };
	struct kdbus_msg *msg = build(p, p->board->id);

	msg->flags = KDBUS_MSG_EXPECT_REPLY;
	msg->timeout_ns = side->deadline;
	send_message(p, &cmd, msg, "SEND of a call");
	look_at(p, (const struct kdbus_msg *)(side->main.pool + cmd.reply.offset));
	give_back(p, &side->main, cmd.reply.offset);
}

/* RECV never sleeps. */
static uint64_t receive(struct pair *p, const struct kdbus_end *end)
{
	struct kdbus_cmd_recv cmd = { .size = sizeof(cmd) };
	struct pollfd wait = { .fd = end->fd, .events = POLLIN };

	must(p, poll(&wait, 1, -1) == 1, "poll");
	must(p, !ioctl(end->fd, KDBUS_CMD_RECV, &cmd), "RECV");
	return cmd.msg.offset;
}

static void kdbus_serve(struct pair *p)
{
	struct kdbus_side *side = side_of(p);
	uint64_t offset = receive(p, &side->main);
	const struct kdbus_msg *request = (const struct kdbus_msg *)(side->main.pool + offset);
	struct kdbus_cmd_send cmd = { 0 };
	struct kdbus_msg *answer = build(p, request->src_id);

	look_at(p, request);
	answer->cookie_reply = request->cookie;
	send_message(p, &cmd, answer, "SEND of an answer");
	give_back(p, &side->main, offset);
}

static void kdbus_post(struct pair *p)
{
	struct kdbus_cmd_send cmd = { 0 };

	send_message(p, &cmd, build(p, p->board->id), "SEND");
}

/* Within a burst the queue is seldom empty: ask first, sleep if there is nothing. */
static void kdbus_take_from(struct pair *p, const struct kdbus_end *end)
{
	struct kdbus_cmd_recv cmd = { .size = sizeof(cmd) };

	if (ioctl(end->fd, KDBUS_CMD_RECV, &cmd) < 0) {
		must(p, errno == EAGAIN, "RECV");
		cmd.msg.offset = receive(p, end);
	}
	look_at(p, (const struct kdbus_msg *)(end->pool + cmd.msg.offset));
	give_back(p, end, cmd.msg.offset);
}

static void kdbus_take(struct pair *p)
{
	kdbus_take_from(p, &side_of(p)->main);
}

static void kdbus_signal(struct pair *p)
{
	struct kdbus_cmd_send cmd = { 0 };
	struct kdbus_msg *msg = build(p, KDBUS_DST_ID_BROADCAST);
	struct kdbus_item *item = (struct kdbus_item *)((uint8_t *)msg + msg->size);
	struct kdbus_bloom_filter *filter = (struct kdbus_bloom_filter *)item->data;

	msg->flags = KDBUS_MSG_SIGNAL;
	item->size = KDBUS_ITEM_SIZE(sizeof(*filter) + BLOOM_BYTES);
	item->type = KDBUS_ITEM_BLOOM_FILTER;
	memset(filter, 0, sizeof(*filter) + BLOOM_BYTES);
	filter->data[BLOOM_BYTES / 16] = 1;
	msg->size += item->size;
	send_message(p, &cmd, msg, "SEND of a signal");
}

static void kdbus_drain(struct pair *p)
{
	struct kdbus_side *side = side_of(p);

	if (!p->matching)
		return;
	kdbus_take_from(p, &side->main);
	for (unsigned int i = 1; i < p->matching; i++)
		kdbus_take_from(p, &side->others[i]);
}

const struct transport kdbus_transport = {
	.name = "kdbus",
	.passes_fds = true,
	.prepare = make_bus,
	.serve_open = kdbus_serve_open,
	.call_open = side_open,
	.call = kdbus_call,
	.serve = kdbus_serve,
	.post = kdbus_post,
	.take = kdbus_take,
	.signal = kdbus_signal,
	.drain = kdbus_drain,
};
