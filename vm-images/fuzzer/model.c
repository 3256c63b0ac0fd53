// SPDX-License-Identifier: GPL-2.0
/* What the calls of a program leave behind, as far as one can tell without running them. */
#include "model.h"

#include <kdbus.h>
#include <string.h>

const char *const model_names[MODEL_NAMES] = { "f.a", "f.b", "fuzz.one", "fuzz.two", "fuzz.one.longer-name.x" };

bool model_has(const struct model *model, uint32_t kinds)
{
	for (int i = 0; i < SLOTS; i++)
		if (kinds >> model->kind[i] & 1)
			return true;
	return false;
}

uint8_t model_find(const struct model *model, struct rng *rng, uint32_t kinds)
{
	uint8_t start = (uint8_t)rng_below(rng, SLOTS);

	for (uint8_t i = 0; i < SLOTS; i++) {
		uint8_t slot = (uint8_t)((start + i) % SLOTS);

		if (kinds >> model->kind[slot] & 1)
			return slot;
	}
	return start;
}

uint8_t model_find_having(const struct model *model, struct rng *rng, enum thing thing, uint32_t kinds)
{
	uint8_t start = (uint8_t)rng_below(rng, SLOTS);

	for (uint8_t i = 0; i < SLOTS; i++) {
		uint8_t slot = (uint8_t)((start + i) % SLOTS);

		if (kinds >> model->kind[slot] & 1 && model->has[thing][slot])
			return slot;
	}
	return SLOTS;
}

uint8_t model_owner(const struct model *model, unsigned int name)
{
	for (uint8_t slot = 0; slot < SLOTS; slot++)
		if (model->has[HAS_NAMES][slot] >> name & 1)
			return slot;
	return SLOTS;
}

static uint64_t word_at(const struct call *call, size_t at)
{
	uint64_t word = 0;

	if (at + sizeof(word) <= call->bytes)
		memcpy(&word, call->data + at, sizeof(word));
	return word;
}

/* The first item from `at` on that is one of our names, as a bit; 0 if there is none. */
static uint8_t name_bit(const struct call *call, size_t at, uint64_t type)
{
	for (int items = 0; items < 32 && at + 16 < call->bytes; items++) {
		uint64_t size = word_at(call, at);
		const char *text = (const char *)call->data + at + 16;

		if (size < 16 || size > call->bytes - at)
			return 0;
		for (unsigned int i = 0; word_at(call, at + 8) == type && i < MODEL_NAMES; i++)
			if (size - 16 == strlen(model_names[i]) + 1 && memcmp(text, model_names[i], size - 16) == 0)
				return (uint8_t)(1u << i);
		at += (size + 7) & ~7ULL;
	}
	return 0;
}

static void forget(struct model *model, uint8_t slot, enum slot_kind kind)
{
	model->kind[slot] = (uint8_t)kind;
	model->mapped[slot] = 0;
	for (int i = 0; i < HAS_COUNT; i++)
		model->has[i][slot] = 0;
}

static void more(struct model *model, enum thing thing, uint8_t slot)
{
	if (model->has[thing][slot] < 200)
		model->has[thing][slot]++;
}

static void less(struct model *model, enum thing thing, uint8_t slot)
{
	if (model->has[thing][slot])
		model->has[thing][slot]--;
}

static void apply_hello(struct model *model, const struct call *call, uint8_t slot)
{
	uint64_t flags = word_at(call, offsetof(struct kdbus_cmd_hello, flags));

	if (model->kind[slot] != SLOT_ENDPOINT)
		return;
	forget(model, slot, flags & KDBUS_HELLO_ACTIVATOR ? SLOT_ACTIVATOR :
	       flags & KDBUS_HELLO_POLICY_HOLDER ? SLOT_HOLDER :
	       flags & KDBUS_HELLO_MONITOR ? SLOT_MONITOR : SLOT_CONN);
	if (flags & KDBUS_HELLO_ACTIVATOR)
		model->has[HAS_NAMES][slot] = name_bit(call, sizeof(struct kdbus_cmd_hello), KDBUS_ITEM_NAME);
	more(model, HAS_SLICES, slot);
}

static void apply_send(struct model *model, const struct call *call)
{
	uint16_t message = (uint16_t)word_at(call, 0), to = (uint16_t)(message + offsetof(struct kdbus_msg, dst_id));
	uint8_t name = name_bit(call, message + sizeof(struct kdbus_msg), KDBUS_ITEM_DST_NAME);

	for (uint8_t i = 0; name && i < SLOTS; i++)
		if (model->has[HAS_NAMES][i] & name)
			more(model, HAS_MESSAGES, i);
	for (int i = 0; i < call->patches; i++)
		if (call->patch[i].kind == PATCH_ID && call->patch[i].at == to)
			more(model, HAS_MESSAGES, call->patch[i].slot % SLOTS);
}

static void apply_name(struct model *model, const struct call *call, uint8_t slot)
{
	uint8_t name = name_bit(call, sizeof(struct kdbus_cmd), KDBUS_ITEM_NAME);
	uint64_t flags = word_at(call, 8);

	if (call->arg[1] == CMD_NAME_RELEASE) {
		model->has[HAS_NAMES][slot] &= (uint8_t)~name;
		return;
	}
	for (uint8_t i = 0; i < SLOTS; i++)
		if (model->has[HAS_NAMES][i] & name && !(flags & KDBUS_NAME_QUEUE))
			return;
	model->has[HAS_NAMES][slot] |= name;
}

static void apply_command(struct model *model, const struct call *call, uint8_t slot)
{
	uint8_t cookie = (uint8_t)(1u << (word_at(call, offsetof(struct kdbus_cmd_match, cookie)) & 7));

	switch (call->arg[1]) {
	case CMD_BUS_MAKE:
		if (model->kind[slot] == SLOT_CONTROL)
			model->kind[slot] = SLOT_BUS_OWNER;
		model->buses++;
		break;
	case CMD_ENDPOINT_MAKE:
		if (model->kind[slot] == SLOT_ENDPOINT)
			model->kind[slot] = SLOT_EP_OWNER;
		break;
	case CMD_HELLO:
		apply_hello(model, call, slot);
		break;
	case CMD_BYEBYE:
		if (!model->has[HAS_MESSAGES][slot] && model->kind[slot] == SLOT_CONN)
			forget(model, slot, SLOT_ENDED);
		break;
	case CMD_SEND:
		apply_send(model, call);
		break;
	case CMD_RECV:
		if (word_at(call, 8) & KDBUS_RECV_PEEK)
			break;
		if (model->has[HAS_MESSAGES][slot] && !(word_at(call, 8) & KDBUS_RECV_DROP))
			more(model, HAS_SLICES, slot);
		less(model, HAS_MESSAGES, slot);
		break;
	case CMD_FREE:
		less(model, HAS_SLICES, slot);
		break;
	case CMD_CONN_INFO:
	case CMD_BUS_CREATOR_INFO:
	case CMD_LIST:
		more(model, HAS_SLICES, slot);
		break;
	case CMD_NAME_ACQUIRE:
	case CMD_NAME_RELEASE:
		apply_name(model, call, slot);
		break;
	case CMD_MATCH_ADD:
		model->has[HAS_MATCHES][slot] |= cookie;
		break;
	case CMD_MATCH_REMOVE:
		model->has[HAS_MATCHES][slot] &= (uint8_t)~cookie;
		break;
	}
}

void model_apply(struct model *model, const struct call *call)
{
	static const uint8_t made[FD_KIND_COUNT] = {
		[FD_MEMFD] = SLOT_MEMFD, [FD_MEMFD_SEALED] = SLOT_SEALED, [FD_SOCKET] = SLOT_SOCKET,
		[FD_EPOLL] = SLOT_EPOLL, [FD_URING] = SLOT_RING,
	};
	uint8_t slot = (uint8_t)(call->arg[0] % SLOTS), other;
	bool control;

	model->thread[slot] = call->thread;
	switch (call->op) {
	case OP_OPEN:
		control = call->bytes == sizeof(MODEL_CONTROL) && memcmp(call->data, MODEL_CONTROL, call->bytes) == 0;
		forget(model, slot, control ? SLOT_CONTROL : SLOT_ENDPOINT);
		break;
	case OP_IOCTL:
		apply_command(model, call, slot);
		break;
	case OP_CLOSE:
		forget(model, slot, SLOT_EMPTY);
		break;
	case OP_DUP:
		other = (uint8_t)(call->arg[1] % SLOTS);
		forget(model, other, model->kind[slot]);
		model->thread[other] = call->thread;
		break;
	case OP_MMAP:
		model->mapped[slot] = 1;
		break;
	case OP_MAKEFD:
		if (call->arg[1] >= FD_KIND_COUNT)
			break;
		forget(model, slot, made[call->arg[1]] ? made[call->arg[1]] : SLOT_OTHER);
		if (call->arg[1] == FD_MEMFD_SEALED && call->arg[2] % 4 == 0)
			model->kind[slot] = SLOT_MEMFD;
		other = (uint8_t)((slot + 1) % SLOTS);
		if (call->arg[1] == FD_SOCKET || call->arg[1] == FD_PIPE)
			forget(model, other, call->arg[1] == FD_SOCKET ? SLOT_SOCKET : SLOT_OTHER);
		break;
	}
}

void model_fill(struct model *model, const struct program *program, uint16_t calls)
{
	memset(model, 0, sizeof(*model));
	model->uid = program->sandbox == SANDBOX_USER ? 1000 : 0;
	for (uint16_t i = 0; i < calls && i < program->calls; i++)
		model_apply(model, &program->call[i]);
}
