// SPDX-License-Identifier: GPL-2.0
/* The parts that commands are put together from. */
#include "items.h"

#include <string.h>

void set64(struct call *call, uint16_t at, uint64_t value)
{
	memcpy(call->data + at, &value, 8); /* every architecture here is little endian */
}

void put_number(struct call *call, uint64_t value, unsigned int bytes)
{
	if (call->bytes + bytes > MAX_DATA)
		return;
	memcpy(call->data + call->bytes, &value, bytes);
	call->bytes = (uint16_t)(call->bytes + bytes);
}

void put_patch(struct call *call, uint16_t at, uint8_t kind, uint8_t slot, int32_t add)
{
	if (call->patches < MAX_PATCHES)
		call->patch[call->patches++] = (struct patch){ .at = at, .kind = kind, .slot = slot, .add = add };
}

void put_fixed(struct call *call, uint16_t bytes)
{
	memset(call->data + call->bytes, 0, bytes);
	call->bytes = (uint16_t)(call->bytes + bytes);
}

uint16_t item_begin(struct call *call, uint64_t type)
{
	uint16_t at = call->bytes;

	put_number(call, 0, 8);
	put_number(call, type, 8);
	return at;
}

void item_end(struct call *call, uint16_t at)
{
	if (call->bytes >= at + 16)
		set64(call, at, (uint64_t)(call->bytes - at));
	while (call->bytes % 8 && call->bytes < MAX_DATA)
		put_number(call, 0, 1);
}

void put_bytes(struct call *call, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_number(call, ((const uint8_t *)bytes)[i], 1);
}

void item_string(struct call *call, uint64_t type, const char *text)
{
	uint16_t at = item_begin(call, type);

	put_bytes(call, text, strlen(text) + 1);
	item_end(call, at);
}

void item_words(struct call *call, uint64_t type, unsigned int count, const uint64_t *words)
{
	uint16_t at = item_begin(call, type);

	for (unsigned int i = 0; i < count; i++)
		put_number(call, words[i], 8);
	item_end(call, at);
}

void item_bloom(struct call *call, uint64_t type, struct rng *rng, unsigned int bytes, bool generation)
{
	uint16_t at = item_begin(call, type);

	if (generation)
		put_number(call, rng_below(rng, 3), 8);
	for (unsigned int i = 0; i < bytes; i += 8)
		put_number(call, rng_one_in(rng, 2) ? 0 : rng_one_in(rng, 2) ? ~0ULL : rng_next(rng), 8);
	item_end(call, at);
}

void item_owned_name(struct call *call, uint64_t type, uint32_t uid, const char *prefix, uint32_t n)
{
	char text[32];
	size_t length = 0;
	char digits[12];
	int d = 0;

	do {
		digits[d++] = (char)('0' + uid % 10);
	} while ((uid /= 10));
	while (d)
		text[length++] = digits[--d];
	text[length++] = '-';
	while (*prefix)
		text[length++] = *prefix++;
	text[length++] = (char)('0' + n);
	text[length] = 0;
	item_string(call, type, text);
}
