// SPDX-License-Identifier: GPL-2.0
/* The bytes of a program, see program.h, and the surgery on its parts. */
#include "program.h"

#include <string.h>

static void put(uint8_t **at, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		*(*at)++ = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t **at, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)*(*at)++ << (8 * i);
	return value;
}

static size_t padded(size_t bytes)
{
	return (bytes + 3) & ~(size_t)3;
}

static size_t call_size(const struct call *call)
{
	return CALL_HEADER + 8u * call->patches + padded(call->bytes);
}

size_t program_write(const struct program *program, uint8_t *out, size_t room)
{
	size_t size = PROGRAM_HEADER;
	uint8_t *at = out;

	for (uint16_t i = 0; i < program->calls; i++)
		size += call_size(&program->call[i]);
	if (size > room)
		return size;

	memset(out, 0, size);
	put(&at, PROGRAM_MAGIC, 4);
	put(&at, size, 4);
	put(&at, program->calls, 2);
	put(&at, program->sandbox, 1);
	put(&at, 0, 5);
	for (uint16_t i = 0; i < program->calls; i++) {
		const struct call *call = &program->call[i];

		put(&at, call->op, 1);
		put(&at, call->thread, 1);
		put(&at, call->flags, 1);
		put(&at, call->fail, 1);
		put(&at, call->place, 1);
		put(&at, call->patches, 1);
		put(&at, call->bytes, 2);
		for (int n = 0; n < 4; n++)
			put(&at, call->arg[n], 4);
		for (int n = 0; n < call->patches; n++) {
			put(&at, call->patch[n].at, 2);
			put(&at, call->patch[n].kind, 1);
			put(&at, call->patch[n].slot, 1);
			put(&at, (uint32_t)call->patch[n].add, 4);
		}
		memcpy(at, call->data, call->bytes);
		at += padded(call->bytes);
	}
	return size;
}

static bool call_read(struct call *call, const uint8_t **at, const uint8_t *end)
{
	if ((size_t)(end - *at) < CALL_HEADER)
		return false;
	call->op = (uint8_t)get(at, 1);
	call->thread = (uint8_t)get(at, 1);
	call->flags = (uint8_t)get(at, 1);
	call->fail = (uint8_t)get(at, 1);
	call->place = (uint8_t)get(at, 1);
	call->patches = (uint8_t)get(at, 1);
	call->bytes = (uint16_t)get(at, 2);
	for (int n = 0; n < 4; n++)
		call->arg[n] = (uint32_t)get(at, 4);
	if (call->op >= OP_COUNT || call->thread >= THREADS || call->place >= PLACE_COUNT ||
	    call->patches > MAX_PATCHES || call->bytes > MAX_DATA ||
	    (size_t)(end - *at) < 8u * call->patches + padded(call->bytes))
		return false;
	for (int n = 0; n < call->patches; n++) {
		struct patch *patch = &call->patch[n];

		patch->at = (uint16_t)get(at, 2);
		patch->kind = (uint8_t)get(at, 1);
		patch->slot = (uint8_t)get(at, 1);
		patch->add = (int32_t)get(at, 4);
		if (patch->kind >= PATCH_COUNT || patch->slot >= SLOTS)
			return false;
	}
	memcpy(call->data, *at, call->bytes);
	*at += padded(call->bytes);
	return true;
}

size_t program_read(struct program *program, const uint8_t *in, size_t bytes)
{
	const uint8_t *at = in;
	size_t size;

	if (bytes < PROGRAM_HEADER || get(&at, 4) != PROGRAM_MAGIC)
		return 0;
	size = (size_t)get(&at, 4);
	program->calls = (uint16_t)get(&at, 2);
	program->sandbox = (uint8_t)get(&at, 1);
	if (size > bytes || size < PROGRAM_HEADER || program->calls > MAX_CALLS || program->sandbox >= SANDBOX_COUNT)
		return 0;
	at = in + PROGRAM_HEADER;
	for (uint16_t i = 0; i < program->calls; i++)
		if (!call_read(&program->call[i], &at, in + size))
			return 0;
	return at == in + size ? size : 0;
}

void program_remove(struct program *program, uint16_t at)
{
	program->calls--;
	memmove(&program->call[at], &program->call[at + 1], (size_t)(program->calls - at) * sizeof(struct call));
}

bool call_insert(struct call *call, uint16_t at, uint16_t n)
{
	if (at > call->bytes || call->bytes + n > MAX_DATA)
		return false;
	memmove(call->data + at + n, call->data + at, (size_t)(call->bytes - at));
	memset(call->data + at, 0, n);
	call->bytes = (uint16_t)(call->bytes + n);
	for (int i = 0; i < call->patches; i++) {
		struct patch *patch = &call->patch[i];

		if (patch->at >= at)
			patch->at = (uint16_t)(patch->at + n);
		if (patch->kind == PATCH_DATA && patch->add >= at)
			patch->add += n;
	}
	return true;
}

void call_remove(struct call *call, uint16_t at, uint16_t n)
{
	int kept = 0;

	if (at >= call->bytes)
		return;
	if (n > call->bytes - at)
		n = (uint16_t)(call->bytes - at);
	memmove(call->data + at, call->data + at + n, (size_t)(call->bytes - at - n));
	call->bytes = (uint16_t)(call->bytes - n);
	for (int i = 0; i < call->patches; i++) {
		struct patch patch = call->patch[i];

		if (patch.at >= at && patch.at < at + n)
			continue;
		if (patch.at >= at + n)
			patch.at = (uint16_t)(patch.at - n);
		if (patch.kind == PATCH_DATA && patch.add >= at + n)
			patch.add -= n;
		call->patch[kept++] = patch;
	}
	call->patches = (uint8_t)kept;
}
