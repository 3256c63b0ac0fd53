// SPDX-License-Identifier: GPL-2.0
/* Whole programs: a bus with some connections, then calls of all kinds. */
#include "generate.h"

#include <kdbus.h>
#include <string.h>

static const struct {
	uint8_t op;
	uint8_t weight;
} weights[] = {
	{ OP_IOCTL, 120 }, { OP_OPEN, 8 }, { OP_CLOSE, 5 }, { OP_DUP, 4 }, { OP_MMAP, 8 }, { OP_MUNMAP, 3 },
		{ OP_MPROTECT, 2 },
	{ OP_MADVISE, 2 }, { OP_TOUCH, 5 }, { OP_POLL, 6 }, { OP_MAKEFD, 10 }, { OP_SCM, 5 }, { OP_EPOLL, 4 },
		{ OP_URING, 3 },
	{ OP_MEMFD, 5 }, { OP_FORK, 5 }, { OP_KILL, 2 }, { OP_SETID, 2 }, { OP_NODE, 6 }, { OP_MOUNT, 1 }, { OP_SLEEP,
		3 },
	{ OP_PROC, 3 }, { OP_UNMAP_DATA, 3 },
};

/* How often a command is taken: sending and receiving is most of what a bus does. */
static const uint8_t command_weights[CMD_COUNT] = {
	[CMD_BUS_MAKE] = 3, [CMD_ENDPOINT_MAKE] = 4, [CMD_ENDPOINT_UPDATE] = 4, [CMD_HELLO] = 10, [CMD_UPDATE] = 5,
	[CMD_BYEBYE] = 3, [CMD_FREE] = 14, [CMD_CONN_INFO] = 6, [CMD_BUS_CREATOR_INFO] = 3, [CMD_LIST] = 6,
		[CMD_SEND] = 40,
	[CMD_RECV] = 24, [CMD_NAME_ACQUIRE] = 9, [CMD_NAME_RELEASE] = 6, [CMD_MATCH_ADD] = 12, [CMD_MATCH_REMOVE] = 4,
};

/* The kinds of handle a command is meant for. */
static const uint32_t command_kinds[CMD_COUNT] = {
	[CMD_BUS_MAKE] = KIND(CONTROL), [CMD_ENDPOINT_MAKE] = KIND(ENDPOINT), [CMD_ENDPOINT_UPDATE] = KIND(EP_OWNER),
	[CMD_HELLO] = KIND(ENDPOINT), [CMD_UPDATE] = KINDS_CONN, [CMD_BYEBYE] = KIND(CONN),
	[CMD_FREE] = KIND(CONN) | KIND(MONITOR) | KIND(ACTIVATOR), [CMD_CONN_INFO] = KINDS_CONN,
	[CMD_BUS_CREATOR_INFO] = KINDS_CONN, [CMD_LIST] = KINDS_CONN, [CMD_SEND] = KIND(CONN),
	[CMD_RECV] = KIND(CONN) | KIND(MONITOR) | KIND(ACTIVATOR), [CMD_NAME_ACQUIRE] = KIND(CONN),
	[CMD_NAME_RELEASE] = KIND(CONN), [CMD_MATCH_ADD] = KIND(CONN), [CMD_MATCH_REMOVE] = KIND(CONN),
};

static uint8_t empty_slot(const struct model *model, struct rng *rng)
{
	return model_find(model, rng, rng_one_in(rng, model->mild ? 50 : 12) ? KINDS_ANY : KIND(EMPTY));
}

/* Where two descriptors can be kept side by side. */
static uint8_t empty_pair(const struct model *model, struct rng *rng)
{
	for (int tries = 0; tries < 8; tries++) {
		uint8_t slot = empty_slot(model, rng);

		if (model->kind[(slot + 1) % SLOTS] == SLOT_EMPTY)
			return slot;
	}
	return empty_slot(model, rng);
}

static uint32_t uid_of(uint8_t sandbox)
{
	return sandbox == SANDBOX_USER ? 1000 : 0;
}

static void put_path(struct call *call, struct rng *rng, const struct model *model, bool control)
{
	static const char *const files[] = { "bus", "bus", "bus", "0-e0", "1000-e0", "" };
	const char *file = RNG_PICK(rng, files);

	call->bytes = 0;
	if (control || rng_one_in(rng, 6)) {
		memcpy(call->data, MODEL_CONTROL, sizeof(MODEL_CONTROL));
		call->bytes = sizeof(MODEL_CONTROL);
		return;
	}
	for (const char *c = model->uid ? "1000-f" : "0-f"; *c; c++)
		put_number(call, (uint64_t)*c, 1);
	put_number(call, '0' + (rng_one_in(rng, 6) ? 1 : 0), 1);
	if (*file)
		put_number(call, '/', 1);
	for (; *file; file++)
		put_number(call, (uint64_t)*file, 1);
	put_number(call, 0, 1);
}

/* Commands that take something, what it is, and the command that makes it. */
static const struct {
	uint8_t command;
	uint8_t thing;
	uint8_t instead;
} takers[] = {
	{ CMD_RECV, HAS_MESSAGES, CMD_SEND }, { CMD_FREE, HAS_SLICES, CMD_LIST },
	{ CMD_NAME_RELEASE, HAS_NAMES, CMD_NAME_ACQUIRE }, { CMD_MATCH_REMOVE, HAS_MATCHES, CMD_MATCH_ADD },
};

/* A slot for the command; the command may change into one that has a chance. */
static uint8_t slot_for(unsigned int *command, struct rng *rng, const struct model *model)
{
	if (rng_one_in(rng, model->mild ? 40 : 12))
		return model_find(model, rng, KINDS_ANY);
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++) {
		uint8_t slot;

		if (takers[i].command != *command || rng_one_in(rng, 10))
			continue;
		slot = model_find_having(model, rng, (enum thing)takers[i].thing, command_kinds[*command]);
		if (slot < SLOTS)
			return slot;
		*command = takers[i].instead;
		break;
	}
	return model_find(model, rng, command_kinds[*command]);
}

static void ioctl_generate(struct call *call, struct rng *rng, const struct model *model)
{
	uint32_t total = 0, at;
	unsigned int command = 0;

	for (int i = 0; i < CMD_COUNT; i++)
		total += command_weights[i];
	at = rng_below(rng, total);
	while (at >= command_weights[command])
		at -= command_weights[command++];
	if (!rng_one_in(rng, model->mild ? 40 : 8) && !model_has(model, command_kinds[command]))
		command = model_has(model, KIND(CONN)) ? CMD_SEND : model_has(model, KIND(ENDPOINT)) ? CMD_HELLO :
			command;
	call->arg[0] = slot_for(&command, rng, model);
	command_build(call, (enum command)command, rng, model);
	if (rng_one_in(rng, model->mild ? 20 : 3))
		command_spoil(call, rng);
	if (rng_one_in(rng, model->mild ? 12 : 3))
		call->place = (uint8_t)rng_below(rng, PLACE_COUNT);
	if (rng_one_in(rng, 200)) {
		call->arg[1] = CMD_COUNT;
		call->arg[2] = (uint32_t)odd_number(rng);
	}
}

static void other_generate(struct call *call, struct rng *rng, const struct model *model)
{
	call->arg[0] = model_find(model, rng, KINDS_ANY);
	call->arg[1] = rng_below(rng, 16);
	call->arg[2] = rng_below(rng, 16);
	call->arg[3] = rng_below(rng, 16);
	switch (call->op) {
	case OP_OPEN:
		call->arg[0] = empty_slot(model, rng);
		put_path(call, rng, model, rng_one_in(rng, 5));
		break;
	case OP_DUP:
		call->arg[1] = empty_slot(model, rng);
		break;
	case OP_CLOSE: /* with the bus everything ends */
		if (model->mild && !rng_one_in(rng, 8))
			call->arg[0] = model_find(model, rng, KINDS_ANY & ~(KIND(BUS_OWNER) | KIND(EP_OWNER)));
		break;
	case OP_PROC:
		call->arg[2] = empty_slot(model, rng);
		break;
	case OP_MMAP:
	case OP_TOUCH:
		call->arg[0] = model_find(model, rng, rng_one_in(rng, 10) ? KINDS_ANY : KINDS_CONN);
		break;
	case OP_MAKEFD:
		call->arg[0] = empty_pair(model, rng);
		call->arg[1] = rng_below(rng, FD_KIND_COUNT);
		break;
	case OP_SCM:
		call->arg[0] = model_find(model, rng, KIND(SOCKET));
		call->arg[1] = model_find(model, rng, KINDS_ANY);
		break;
	case OP_EPOLL:
		call->arg[0] = model_find(model, rng, KIND(EPOLL));
		call->arg[1] = model_find(model, rng, KINDS_ANY);
		break;
	case OP_URING:
		call->arg[0] = model_find(model, rng, KIND(RING));
		call->arg[1] = model_find(model, rng, KINDS_ANY);
		break;
	case OP_MEMFD:
		call->arg[0] = model_find(model, rng, KIND(MEMFD) | KIND(SEALED));
		call->arg[2] = rng_below(rng, 20000);
		break;
	case OP_NODE:
		put_path(call, rng, model, false);
		break;
	case OP_SLEEP:
		call->arg[0] = rng_below(rng, 3000);
		break;
	case OP_UNMAP_DATA:
		call->arg[0] = rng_below(rng, MAX_CALLS);
		break;
	}
}

/* What a call is done on should be there: other threads run when they like. */
static bool wants_join(const struct call *call, const struct model *model)
{
	if (model->thread[call->arg[0] % SLOTS] != call->thread)
		return true;
	for (int i = 0; i < call->patches; i++)
		if (call->patch[i].kind >= PATCH_FD && call->patch[i].kind != PATCH_TIME &&
		    model->thread[call->patch[i].slot % SLOTS] != call->thread)
			return true;
	return false;
}

void call_generate(struct call *call, struct rng *rng, const struct model *model)
{
	uint32_t total = 0, at;
	int row = 0;

	memset(call, 0, offsetof(struct call, patch));
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++)
		total += weights[i].weight;
	at = rng_below(rng, total);
	while (at >= weights[row].weight)
		at -= weights[row++].weight;
	call->op = weights[row].op;
	if (call->op == OP_IOCTL)
		ioctl_generate(call, rng, model);
	else
		other_generate(call, rng, model);
	if (rng_one_in(rng, 3))
		call->thread = (uint8_t)(1 + rng_below(rng, THREADS - 1));
	if (rng_one_in(rng, 8) || (model->mild && !rng_one_in(rng, 5) && wants_join(call, model)))
		call->flags |= CALL_JOIN;
	if (rng_one_in(rng, 25))
		call->flags |= rng_one_in(rng, 2) ? CALL_TWICE : CALL_REPEAT;
	if (rng_one_in(rng, 10))
		call->fail = (uint8_t)(1 + rng_below(rng, rng_one_in(rng, 3) ? 40 : 8));
}

static struct call *append(struct program *program)
{
	struct call *call = &program->call[program->calls++];

	memset(call, 0, offsetof(struct call, patch));
	return call;
}

/* A connection without anything special about it. */
static void hello_plain(struct call *call)
{
	const uint64_t flags = KDBUS_HELLO_ACCEPT_FD, pool = 256 << 12;
	const uint64_t size = sizeof(struct kdbus_cmd_hello), all = _KDBUS_ATTACH_ALL;

	call->bytes = sizeof(struct kdbus_cmd_hello);
	call->patches = 0;
	memset(call->data, 0, call->bytes);
	memcpy(call->data, &size, 8);
	memcpy(call->data + offsetof(struct kdbus_cmd_hello, attach_flags_send), &all, 8);
	memcpy(call->data + offsetof(struct kdbus_cmd_hello, attach_flags_recv), &all, 8);
	memcpy(call->data + offsetof(struct kdbus_cmd_hello, flags), &flags, 8);
	memcpy(call->data + offsetof(struct kdbus_cmd_hello, pool_size), &pool, 8);
}

/* A bus, a second file of its endpoint for each connection, and some descriptors to send. */
static void prologue(struct program *program, struct rng *rng, struct model *model)
{
	unsigned int conns = 1 + rng_below(rng, 4);
	struct call *call = append(program);

	call->op = OP_OPEN;
	call->arg[0] = 0;
	put_path(call, rng, model, true);
	model_apply(model, call);
	call = append(program);
	command_build(call, CMD_BUS_MAKE, rng, model);
	model_apply(model, call);
	for (unsigned int i = 0; i < conns; i++) {
		static const char file[] = "0-f0/bus", user_file[] = "1000-f0/bus";
		const char *path = model->uid ? user_file : file;

		call = append(program);
		call->op = OP_OPEN;
		call->arg[0] = i + 1;
		memcpy(call->data, path, strlen(path) + 1);
		call->bytes = (uint16_t)(strlen(path) + 1);
		model_apply(model, call);
		call = append(program);
		call->arg[0] = i + 1;
		if (i == 3 && rng_one_in(rng, 2))
			command_build(call, CMD_ENDPOINT_MAKE, rng, model);
		else
			command_build(call, CMD_HELLO, rng, model);
		if (i == 0) /* one at least can send */
			hello_plain(call);
		model_apply(model, call);
	}
	for (unsigned int i = rng_below(rng, 3); i; i--) {
		call = append(program);
		call->op = OP_MAKEFD;
		other_generate(call, rng, model);
		model_apply(model, call);
	}
}

static void program_fresh(struct program *program, struct rng *rng)
{
	unsigned int calls = 3 + rng_below(rng, 30);
	struct model model = { 0 };

	program->calls = 0;
	program->sandbox = rng_one_in(rng, 2) ? SANDBOX_ROOT : (uint8_t)rng_below(rng, SANDBOX_COUNT);
	model.uid = uid_of(program->sandbox);
	model.mild = rng_one_in(rng, 2);
	if (!rng_one_in(rng, 50))
		prologue(program, rng, &model);
	while (calls-- && program->calls < MAX_CALLS) {
		struct call *call = append(program);

		call_generate(call, rng, &model);
		model_apply(&model, call);
	}
}

void program_generate(struct program *program, uint64_t seed, uint64_t index, const struct corpus *corpus)
{
	const uint64_t place = rng_mix(index * 0x9e3779b97f4a7c15ULL + 1);
	struct rng rng = { .state = rng_mix(seed + 0x5851f42d4c957f2dULL) ^ place };

	if (corpus && corpus->count && !rng_one_in(&rng, 4)) {
		size_t chosen = (size_t)(rng_next(&rng) % corpus->count);

		if (program_read(program, corpus->bytes + corpus->start[chosen],
				 corpus->total - corpus->start[chosen])) {
			program_mutate(program, &rng, corpus);
			return;
		}
	}
	program_fresh(program, &rng);
}
