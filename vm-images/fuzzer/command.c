// SPDX-License-Identifier: GPL-2.0
/* Commands that should succeed, one builder a command. */
#include "command.h"
#include "items.h"
#include "model.h"

#include <kdbus.h>
#include <string.h>

#define ROW(_name, _struct) \
	[CMD_ ## _name] = { #_name, KDBUS_CMD_ ## _name, sizeof(struct _struct) }
const struct command_row commands[CMD_COUNT] = {
	ROW(BUS_MAKE, kdbus_cmd),
	ROW(ENDPOINT_MAKE, kdbus_cmd),
	ROW(ENDPOINT_UPDATE, kdbus_cmd),
	ROW(HELLO, kdbus_cmd_hello),
	ROW(UPDATE, kdbus_cmd),
	ROW(BYEBYE, kdbus_cmd),
	ROW(FREE, kdbus_cmd_free),
	ROW(CONN_INFO, kdbus_cmd_info),
	ROW(BUS_CREATOR_INFO, kdbus_cmd_info),
	ROW(LIST, kdbus_cmd_list),
	ROW(SEND, kdbus_cmd_send),
	ROW(RECV, kdbus_cmd_recv),
	ROW(NAME_ACQUIRE, kdbus_cmd),
	ROW(NAME_RELEASE, kdbus_cmd),
	ROW(MATCH_ADD, kdbus_cmd_match),
	ROW(MATCH_REMOVE, kdbus_cmd_match),
};

#define BLOOM_BYTES	64
/* What messages carry. */
#define FDS_SENT	(KIND(OTHER) | KIND(MEMFD) | KIND(SEALED) | KIND(EPOLL))
#define MSG_AT(_msg, _field)	((uint16_t)((_msg) + offsetof(struct kdbus_msg, _field)))
static const uint32_t pool_pages[] = { 1, 16, 64, 64, 256, 256, 256, 1024 };
static const uint32_t payload_sizes[] = { 0, 1, 7, 8, 8, 64, 64, 100, 100, 1000, 4095, 4096, 4097, 20000, 65536,
	300000 };
static const uint32_t small_sizes[] = { 0, 1, 7, 8, 8, 64, 64, 100, 1000, 4097 };

static uint64_t attach_flags(struct rng *rng)
{
	static const uint64_t some[] = { 0, 1, _KDBUS_ATTACH_ALL, _KDBUS_ATTACH_ALL, _KDBUS_ATTACH_ANY };

	return rng_one_in(rng, 3) ? rng_next(rng) & _KDBUS_ATTACH_ALL : RNG_PICK(rng, some);
}

static void policy_items(struct call *call, struct rng *rng, unsigned int most_names)
{
	unsigned int n = rng_below(rng, most_names + 1), first = rng_below(rng, MODEL_NAMES + 1);

	for (unsigned int i = first; i < first + n; i++) {
		item_string(call, KDBUS_ITEM_NAME, i % (MODEL_NAMES + 1) == MODEL_NAMES ? "fuzz.*" :
			    model_names[i % (MODEL_NAMES + 1)]);
		for (unsigned int k = rng_below(rng, 4); k; k--) {
			uint64_t access[3] = { 1 + rng_below(rng, 3), rng_below(rng, 3), rng_one_in(rng, 2) ? 1000 :
				rng_below(rng, 2) };

			item_words(call, KDBUS_ITEM_POLICY_ACCESS, 3, access);
		}
	}
}

static void build_hello(struct call *call, struct rng *rng, const struct model *model)
{
	uint64_t flags = rng_one_in(rng, 4) ? 0 : KDBUS_HELLO_ACCEPT_FD;
	uint64_t words[8];

	switch (rng_below(rng, 12)) {
	case 0:
		flags |= KDBUS_HELLO_ACTIVATOR;
		break;
	case 1:
		flags |= KDBUS_HELLO_POLICY_HOLDER;
		break;
	case 2:
		flags |= KDBUS_HELLO_MONITOR;
		break;
	}
	set64(call, offsetof(struct kdbus_cmd_hello, flags), flags);
	set64(call, offsetof(struct kdbus_cmd_hello, attach_flags_send), attach_flags(rng));
	set64(call, offsetof(struct kdbus_cmd_hello, attach_flags_recv), attach_flags(rng));
	set64(call, offsetof(struct kdbus_cmd_hello, pool_size), 4096ULL * RNG_PICK(rng, pool_pages));
	if (flags & (KDBUS_HELLO_ACTIVATOR | KDBUS_HELLO_POLICY_HOLDER))
		item_string(call, KDBUS_ITEM_NAME, RNG_PICK(rng, model_names));
	if (flags & KDBUS_HELLO_POLICY_HOLDER || rng_one_in(rng, 8)) {
		uint64_t access[3] = { 1 + rng_below(rng, 3), rng_below(rng, 3), rng_below(rng, 2) };

		item_words(call, KDBUS_ITEM_POLICY_ACCESS, 3, access);
	}
	if (rng_one_in(rng, 10)) {
		for (int i = 0; i < 8; i++)
			words[i] = rng_one_in(rng, 4) ? KDBUS_CREDS_UNSET : model->uid;
		item_words(call, KDBUS_ITEM_CREDS, 8, words);
	}
	if (rng_one_in(rng, 10)) {
		for (int i = 0; i < 3; i++)
			words[i] = rng_below(rng, 3);
		item_words(call, KDBUS_ITEM_PIDS, 3, words);
	}
	if (rng_one_in(rng, 10))
		item_string(call, KDBUS_ITEM_SECLABEL, "label");
	if (rng_one_in(rng, 5))
		item_string(call, KDBUS_ITEM_CONN_DESCRIPTION, "a fuzzed connection");
}

static void payload_items(struct call *call, struct rng *rng, const struct model *model, bool fds_too)
{
	static const uint8_t odd_zones[] = { ZONE_HELD, ZONE_HELD, ZONE_NONE, ZONE_SHARED, ZONE_SHARED, ZONE_RACE,
		ZONE_KERNEL, ZONE_HOLE };
	unsigned int vecs = rng_one_in(rng, 12) ? rng_below(rng, 20) : rng_below(rng, 4);
	unsigned int memfds = rng_one_in(rng, 4) && model_has(model, KIND(SEALED) | KIND(MEMFD)) ?
		1 + rng_below(rng, 2) : 0;
	bool odd = rng_one_in(rng, model->mild ? 16 : 4);
	uint16_t at;

	while (vecs--) {
		uint64_t vec[2] = { rng_one_in(rng, 4) ? RNG_PICK(rng, payload_sizes) : RNG_PICK(rng, small_sizes), 0 };
		uint8_t zone = odd && rng_one_in(rng, 2) ? RNG_PICK(rng, odd_zones) : ZONE_PLAIN;

		at = call->bytes;
		item_words(call, KDBUS_ITEM_PAYLOAD_VEC, 2, vec);
		if (rng_one_in(rng, 12))
			put_patch(call, (uint16_t)(at + 24), PATCH_POOL, model_find(model, rng, KINDS_CONN),
				  (int32_t)rng_below(rng, 8192));
		else if (!rng_one_in(rng, 8))
			put_patch(call, (uint16_t)(at + 24), PATCH_ZONE, zone, (int32_t)rng_below(rng, 12000));
	}
	while (memfds--) {
		uint64_t memfd[3] = { rng_one_in(rng, 3) ? 100 : 0, rng_one_in(rng, 3) ? 4096 : 1 + rng_below(rng, 64),
			0 };

		at = call->bytes;
		item_words(call, KDBUS_ITEM_PAYLOAD_MEMFD, 3, memfd);
		put_patch(call, (uint16_t)(at + 32), PATCH_FD, model_find(model, rng, rng_one_in(rng, 8) ? KINDS_ANY :
									  KIND(SEALED)), 0);
	}
	if (fds_too && rng_one_in(rng, 4) && model_has(model, FDS_SENT)) {
		unsigned int fds = rng_one_in(rng, 8) ? 1 + rng_below(rng, 18) : 1 + rng_below(rng, 3);

		at = item_begin(call, KDBUS_ITEM_FDS);
		while (fds--) {
			put_patch(call, call->bytes, PATCH_FD, model_find(model, rng, rng_one_in(rng, 12) ? KINDS_ANY :
									  FDS_SENT), 0);
			put_number(call, 0, 4);
		}
		item_end(call, at);
	}
}

/* A name that somebody has, if there is one. */
static const char *owned_name(struct rng *rng, const struct model *model)
{
	unsigned int start = rng_below(rng, MODEL_NAMES);

	for (unsigned int i = 0; i < MODEL_NAMES; i++)
		if (model_owner(model, (start + i) % MODEL_NAMES) < SLOTS)
			return model_names[(start + i) % MODEL_NAMES];
	return model_names[start];
}

static void build_send(struct call *call, struct rng *rng, const struct model *model)
{
	uint8_t peer = model_find(model, rng, rng_one_in(rng, 10) ? KINDS_CONN : KIND(CONN));
	uint64_t flags = 0;
	uint16_t msg;

	if (rng_one_in(rng, 12)) {
		uint16_t at = item_begin(call, KDBUS_ITEM_CANCEL_FD);

		put_patch(call, call->bytes, PATCH_FD, model_find(model, rng, KINDS_ANY), 0);
		put_number(call, 0, 4);
		item_end(call, at);
	}
	msg = call->bytes;
	set64(call, 0, msg);
	put_patch(call, offsetof(struct kdbus_cmd_send, msg_address), PATCH_DATA, 0, msg);
	put_fixed(call, sizeof(struct kdbus_msg));
	set64(call, MSG_AT(msg, payload_type), KDBUS_PAYLOAD_DBUS);
	set64(call, MSG_AT(msg, cookie), 1 + rng_below(rng, 6));
	if (rng_one_in(rng, 3))
		set64(call, MSG_AT(msg, priority), (uint64_t)((int64_t)rng_below(rng, 5) - 2));

	switch (rng_below(rng, 8)) {
	case 0: /* to everybody */
		flags |= KDBUS_MSG_SIGNAL;
		set64(call, MSG_AT(msg, dst_id), KDBUS_DST_ID_BROADCAST);
		item_bloom(call, KDBUS_ITEM_BLOOM_FILTER, rng, BLOOM_BYTES, true);
		break;
	case 1: /* an answer */
		put_patch(call, MSG_AT(msg, dst_id), PATCH_SENDER,
			  (uint8_t)call->arg[0], 0);
		put_patch(call, MSG_AT(msg, cookie_reply), PATCH_COOKIE,
			  (uint8_t)call->arg[0], 0);
		break;
	case 2: /* to the owner of a name */
		item_string(call, KDBUS_ITEM_DST_NAME, owned_name(rng, model));
		if (rng_one_in(rng, 3))
			flags |= KDBUS_MSG_NO_AUTO_START;
		break;
	case 3:
		flags |= KDBUS_MSG_SIGNAL;
		put_patch(call, MSG_AT(msg, dst_id), PATCH_ID, peer, 0);
		if (!rng_one_in(rng, 10))
			item_bloom(call, KDBUS_ITEM_BLOOM_FILTER, rng, BLOOM_BYTES, true);
		break;
	default:
		put_patch(call, MSG_AT(msg, dst_id), PATCH_ID, peer, 0);
	}
	if (!(flags & KDBUS_MSG_SIGNAL) && rng_one_in(rng, 3)) {
		flags |= KDBUS_MSG_EXPECT_REPLY;
		put_patch(call, MSG_AT(msg, timeout_ns), PATCH_TIME, 0,
			  (int32_t)rng_below(rng, rng_one_in(rng, 2) ? 40000 : 2000000));
		if (rng_one_in(rng, 4))
			set64(call, offsetof(struct kdbus_cmd_send, flags), KDBUS_SEND_SYNC_REPLY);
	}
	payload_items(call, rng, model, !(flags & KDBUS_MSG_SIGNAL) || rng_one_in(rng, 20));
	set64(call, MSG_AT(msg, flags), flags);
	set64(call, msg, (uint64_t)(call->bytes - msg));
}

static void match_items(struct call *call, struct rng *rng, const struct model *model)
{
	for (unsigned int n = rng_below(rng, 4); n; n--) {
		uint64_t change[4] = { KDBUS_MATCH_ID_ANY, 0, rng_one_in(rng, 2) ? KDBUS_MATCH_ID_ANY : 1, 0 };
		uint16_t at;

		switch (rng_below(rng, 6)) {
		case 0:
			item_bloom(call, KDBUS_ITEM_BLOOM_MASK, rng, BLOOM_BYTES * (1 + rng_below(rng, 2)), false);
			break;
		case 1:
			item_string(call, KDBUS_ITEM_NAME, RNG_PICK(rng, model_names));
			break;
		case 2:
			at = call->bytes;
			item_words(call, rng_one_in(rng, 2) ? KDBUS_ITEM_ID : KDBUS_ITEM_DST_ID, 1, change);
			if (!rng_one_in(rng, 3))
				put_patch(call, (uint16_t)(at + 16), PATCH_ID, model_find(model, rng, KINDS_CONN), 0);
			break;
		case 3:
			item_words(call, rng_one_in(rng, 2) ? KDBUS_ITEM_ID_ADD : KDBUS_ITEM_ID_REMOVE, 2, change);
			break;
		default:
			at = item_begin(call, KDBUS_ITEM_NAME_ADD + rng_below(rng, 3));
			for (int i = 0; i < 4; i++)
				put_number(call, change[i], 8);
			if (rng_one_in(rng, 2)) {
				const char *name = RNG_PICK(rng, model_names);

				put_bytes(call, name, strlen(name) + 1);
			}
			item_end(call, at);
		}
	}
}

/* Each kind of connection may change something else. */
static void build_update(struct call *call, struct rng *rng, const struct model *model)
{
	uint8_t kind = model->kind[call->arg[0] % SLOTS];
	uint64_t flags = attach_flags(rng);

	if (kind == SLOT_HOLDER || rng_one_in(rng, 20))
		policy_items(call, rng, 1);
	if (kind != SLOT_HOLDER && kind != SLOT_ACTIVATOR && rng_one_in(rng, 2))
		item_words(call, KDBUS_ITEM_ATTACH_FLAGS_SEND, 1, &flags);
	if (kind != SLOT_HOLDER && rng_one_in(rng, 2))
		item_words(call, KDBUS_ITEM_ATTACH_FLAGS_RECV, 1, &flags);
}

/* A name of this connection, or its place in the queue. */
static const char *own_name(struct rng *rng, const struct model *model, uint8_t slot)
{
	unsigned int start = rng_below(rng, MODEL_NAMES);

	for (unsigned int i = 0; i < MODEL_NAMES; i++)
		if (model->has[HAS_NAMES][slot] >> (start + i) % MODEL_NAMES & 1)
			return model_names[(start + i) % MODEL_NAMES];
	return model_names[start];
}

static uint64_t own_cookie(struct rng *rng, const struct model *model, uint8_t slot)
{
	uint64_t start = rng_below(rng, 4);

	for (uint64_t i = 0; i < 4; i++)
		if (model->has[HAS_MATCHES][slot] >> (start + i) % 4 & 1)
			return (start + i) % 4;
	return start;
}

/* Everything of the command but its size. */
static void build_body(struct call *call, enum command command, struct rng *rng, const struct model *model)
{
	const uint64_t bloom[2] = { rng_one_in(rng, 30) ? 8u << rng_below(rng, 8) : BLOOM_BYTES, 1 + rng_below(rng,
													       3) };
	static const uint8_t recv_flags[] = { 0, 0, 0, 0, KDBUS_RECV_PEEK, KDBUS_RECV_DROP, KDBUS_RECV_USE_PRIORITY };
	uint8_t slot = (uint8_t)(call->arg[0] % SLOTS);
	uint64_t flags;

	switch (command) {
	case CMD_BUS_MAKE:
		set64(call, 8, rng_below(rng, 4));
		item_owned_name(call, KDBUS_ITEM_MAKE_NAME, model->uid, "f", model->buses ? rng_below(rng, 2) : 0);
		item_words(call, KDBUS_ITEM_BLOOM_PARAMETER, 2, bloom);
		if (rng_one_in(rng, 12)) {
			flags = attach_flags(rng);
			item_words(call, KDBUS_ITEM_ATTACH_FLAGS_SEND, 1, &flags);
		}
		break;
	case CMD_ENDPOINT_MAKE:
		set64(call, 8, rng_below(rng, 4));
		item_owned_name(call, KDBUS_ITEM_MAKE_NAME, model->uid, "e", rng_below(rng, 2));
		break;
	case CMD_ENDPOINT_UPDATE:
		policy_items(call, rng, 4);
		break;
	case CMD_HELLO:
		build_hello(call, rng, model);
		break;
	case CMD_UPDATE:
		build_update(call, rng, model);
		break;
	case CMD_FREE:
		put_patch(call, offsetof(struct kdbus_cmd_free, offset), PATCH_OFFSET, (uint8_t)call->arg[0],
			  rng_one_in(rng, 10) ? 8 : 0);
		break;
	case CMD_CONN_INFO:
		set64(call, offsetof(struct kdbus_cmd_info, attach_flags), attach_flags(rng));
		if (rng_one_in(rng, 3))
			item_string(call, KDBUS_ITEM_NAME, owned_name(rng, model));
		else
			put_patch(call, offsetof(struct kdbus_cmd_info, id), PATCH_ID, model_find(model, rng,
												  KINDS_CONN), 0);
		break;
	case CMD_BUS_CREATOR_INFO:
		set64(call, offsetof(struct kdbus_cmd_info, attach_flags), attach_flags(rng));
		break;
	case CMD_LIST:
		set64(call, 8, rng_below(rng, 16));
		break;
	case CMD_SEND:
		build_send(call, rng, model);
		break;
	case CMD_RECV:
		set64(call, 8, rng_one_in(rng, 8) ? rng_below(rng, 8) : RNG_PICK(rng, recv_flags));
		set64(call, offsetof(struct kdbus_cmd_recv, priority), (uint64_t)((int64_t)rng_below(rng, 5) - 2));
		break;
	case CMD_NAME_ACQUIRE:
		set64(call, 8, rng_below(rng, 8));
		item_string(call, KDBUS_ITEM_NAME, RNG_PICK(rng, model_names));
		break;
	case CMD_NAME_RELEASE:
		item_string(call, KDBUS_ITEM_NAME, own_name(rng, model, slot));
		break;
	case CMD_MATCH_ADD:
		set64(call, 8, rng_below(rng, 2));
		set64(call, offsetof(struct kdbus_cmd_match, cookie), rng_below(rng, 4));
		match_items(call, rng, model);
		break;
	case CMD_MATCH_REMOVE:
		set64(call, offsetof(struct kdbus_cmd_match, cookie), own_cookie(rng, model, slot));
		break;
	case CMD_BYEBYE:
	case CMD_COUNT:
		break;
	}
}

void command_build(struct call *call, enum command command, struct rng *rng, const struct model *model)
{
	call->op = OP_IOCTL;
	call->arg[1] = command;
	call->bytes = 0;
	call->patches = 0;
	put_fixed(call, commands[command].fixed);
	build_body(call, command, rng, model);
	if (rng_one_in(rng, 30)) {
		const uint64_t types[] = { KDBUS_ITEM_NAME, KDBUS_ITEM_PAYLOAD_VEC, 0x7777 };

		item_words(call, KDBUS_ITEM_NEGOTIATE, 1 + rng_below(rng, 3), types);
	}
	if (command != CMD_SEND)
		set64(call, 0, call->bytes);
}
