// SPDX-License-Identifier: GPL-2.0
/* Changes to programs and commands that keep their outer form. */
#include "generate.h"

#include <kdbus.h>
#include <string.h>

#define MAX_ITEMS	64

uint64_t odd_number(struct rng *rng)
{
	static const uint64_t odd[] = {
		0, 1, 2, 7, 8, 15, 16, 17, 24, 63, 64, 255, 256, 4095, 4096, 4097, 32767, 32768, 32769, 65536,
			0x1fffff, 0x200000,
		0x200001, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
		0xfffffffffffff000, 0xfffffffffffffff8, 0xffffffffffffffff,
	};

	return rng_one_in(rng, 5) ? rng_next(rng) >> rng_below(rng, 64) : RNG_PICK(rng, odd);
}

static uint64_t word_at(const struct call *call, uint16_t at)
{
	uint64_t value = 0;

	if (at + 8 <= call->bytes)
		memcpy(&value, call->data + at, 8);
	return value;
}

static void set_word(struct call *call, uint16_t at, uint64_t value)
{
	if (at + 8 <= call->bytes)
		memcpy(call->data + at, &value, 8);
}

/* Start of the message inside SEND, or the end. */
static uint16_t message_at(const struct call *call)
{
	for (int i = 0; call->arg[1] == CMD_SEND && i < call->patches; i++)
		if (call->patch[i].kind == PATCH_DATA && call->patch[i].add > 0 && call->patch[i].add < call->bytes)
			return (uint16_t)call->patch[i].add;
	return call->bytes;
}

/* Places of the items of command and message. */
static unsigned int find_items(const struct call *call, uint16_t *items)
{
	uint16_t message = message_at(call);
	unsigned int count = 0;
	uint16_t at = call->arg[1] < CMD_COUNT ? commands[call->arg[1]].fixed : 24;

	while (at + 16 <= call->bytes && count < MAX_ITEMS) {
		uint64_t size = word_at(call, at);

		if (at == message) {
			at = (uint16_t)(at + sizeof(struct kdbus_msg));
			continue;
		}
		if (size < 16 || size > (uint64_t)(call->bytes - at))
			break;
		items[count++] = at;
		at = (uint16_t)(at + ((size + 7) & ~7ULL));
	}
	return count;
}

static void fix_sizes(struct call *call)
{
	uint16_t message = message_at(call);

	if (message < call->bytes) {
		set_word(call, 0, message);
		set_word(call, message, (uint64_t)(call->bytes - message));
	} else {
		set_word(call, 0, call->bytes);
	}
}

static void spoil_items(struct call *call, struct rng *rng)
{
	uint16_t items[MAX_ITEMS];
	unsigned int count = find_items(call, items);
	uint16_t at, size, to;
	uint8_t copy[MAX_DATA];

	if (!count)
		return;
	at = items[rng_below(rng, count)];
	to = items[rng_below(rng, count)];
	size = (uint16_t)((word_at(call, at) + 7) & ~7ULL);
	if (size > call->bytes - at)
		size = (uint16_t)(call->bytes - at);
	switch (rng_below(rng, 7)) {
	case 0: /* twice */
		memcpy(copy, call->data + at, size);
		if (call_insert(call, to, size))
			memcpy(call->data + to, copy, size);
		fix_sizes(call);
		break;
	case 1:
		call_remove(call, at, size);
		fix_sizes(call);
		break;
	case 2: /* another place */
		memcpy(copy, call->data + at, size);
		call_remove(call, at, size);
		if (to > at)
			to = (uint16_t)(to - size);
		if (call_insert(call, to, size))
			memcpy(call->data + to, copy, size);
		fix_sizes(call);
		break;
	case 3:
		set_word(call, at, word_at(call, at) + (uint64_t)((int64_t)rng_below(rng, 17) - 8));
		break;
	case 4:
		set_word(call, at, odd_number(rng));
		break;
	case 5:
		set_word(call, (uint16_t)(at + 8), rng_one_in(rng, 2) ? odd_number(rng) : 1 + rng_below(rng, 16));
		break;
	case 6: /* a longer or shorter payload that tells the truth */
		to = (uint16_t)(8 * (1 + rng_below(rng, 8)));
		if (rng_one_in(rng, 2)) {
			if (call_insert(call, (uint16_t)(at + 16), to))
				set_word(call, at, word_at(call, at) + to);
		} else if (size >= 16 + to) {
			call_remove(call, (uint16_t)(at + 16), to);
			set_word(call, at, word_at(call, at) - to);
		}
		fix_sizes(call);
		break;
	}
}

static void spoil_bytes(struct call *call, struct rng *rng)
{
	uint16_t at;

	if (call->bytes == 0)
		return;
	at = (uint16_t)rng_below(rng, call->bytes);
	switch (rng_below(rng, 4)) {
	case 0:
		call->data[at] ^= (uint8_t)(1u << rng_below(rng, 8));
		break;
	case 1:
		call->data[at] = (uint8_t)rng_next(rng);
		break;
	case 2:
		set_word(call, at & 0xfff8, odd_number(rng));
		break;
	case 3:
		call->bytes = at;
		break;
	}
}

void command_spoil(struct call *call, struct rng *rng)
{
	uint16_t message = message_at(call), at;
	uint32_t bit;

	for (unsigned int n = 1 + rng_below(rng, 3); n; n--) {
		uint16_t head = message < call->bytes && rng_one_in(rng, 2) ? message : 0;

		switch (rng_below(rng, 6)) {
		case 0:
			spoil_bytes(call, rng);
			break;
		case 1: /* a flag */
			at = (uint16_t)(head + 8);
			bit = rng_below(rng, rng_one_in(rng, 3) ? 64 : 5);
			set_word(call, at, word_at(call, at) ^ (1ULL << bit));
			break;
		case 2: /* a lie about the size */
			set_word(call, head, rng_one_in(rng, 2) ? odd_number(rng) : word_at(call,
											    head) + rng_below(rng,
													      32) - 16);
			break;
		case 3: /* a field */
			set_word(call, (uint16_t)(head + 16 + 8 * rng_below(rng, 8)), odd_number(rng));
			break;
		default:
			spoil_items(call, rng);
		}
	}
}

static bool insert_call(struct program *program, uint16_t at)
{
	if (program->calls >= MAX_CALLS)
		return false;
	memmove(&program->call[at + 1], &program->call[at], (size_t)(program->calls - at) * sizeof(struct call));
	program->calls++;
	return true;
}

/* The end of another program behind the beginning of this one. */
static void splice(struct program *program, struct rng *rng, const struct corpus *corpus)
{
	static struct program other;
	size_t chosen = (size_t)(rng_next(rng) % corpus->count);
	uint16_t from;

	if (!program_read(&other, corpus->bytes + corpus->start[chosen], corpus->total - corpus->start[chosen]) ||
	    !other.calls)
		return;
	from = (uint16_t)rng_below(rng, other.calls);
	while (from < other.calls && program->calls < MAX_CALLS)
		program->call[program->calls++] = other.call[from++];
}

static void mutate_call(struct call *call, struct rng *rng)
{
	switch (rng_below(rng, 10)) {
	case 0:
		call->fail = rng_one_in(rng, 3) ? 0 : (uint8_t)(1 + rng_below(rng, 30));
		break;
	case 1:
		call->thread = (uint8_t)rng_below(rng, THREADS);
		break;
	case 2:
		call->place = (uint8_t)rng_below(rng, PLACE_COUNT);
		break;
	case 3:
		call->flags ^= (uint8_t)(1u << rng_below(rng, 3));
		break;
	case 4:
		call->arg[rng_below(rng, 4)] = rng_one_in(rng, 4) ? (uint32_t)odd_number(rng) : rng_below(rng, SLOTS);
		break;
	case 5:
		if (call->patches) {
			struct patch *patch = &call->patch[rng_below(rng, call->patches)];

			if (rng_one_in(rng, 2))
				patch->slot = (uint8_t)rng_below(rng, SLOTS);
			else
				patch->add = rng_one_in(rng, 2) ? (int32_t)odd_number(rng) :
					patch->add + (int32_t)rng_below(rng, 33) - 16;
		}
		break;
	default:
		if (call->op == OP_IOCTL)
			command_spoil(call, rng);
		else
			call->arg[rng_below(rng, 4)] = rng_below(rng, 20);
	}
}

void program_mutate(struct program *program, struct rng *rng, const struct corpus *corpus)
{
	struct model model;

	for (unsigned int n = 1 + rng_below(rng, 4); n; n--) {
		uint16_t at = program->calls ? (uint16_t)rng_below(rng, program->calls) : 0;

		switch (rng_below(rng, 8)) {
		case 0:
			if (corpus && corpus->count)
				splice(program, rng, corpus);
			break;
		case 1:
			if (program->calls > 1)
				program_remove(program, at);
			break;
		case 2: /* once more, later */
			if (program->calls && insert_call(program, at))
				program->call[at] = program->call[at + 1];
			break;
		case 3:
			if (rng_one_in(rng, 3))
				program->sandbox = (uint8_t)rng_below(rng, SANDBOX_COUNT);
			break;
		case 4:
		case 5:
			model_fill(&model, program, at);
			model.mild = rng_one_in(rng, 2);
			if (insert_call(program, at))
				call_generate(&program->call[at], rng, &model);
			break;
		default:
			if (program->calls)
				mutate_call(&program->call[at], rng);
		}
	}
}
