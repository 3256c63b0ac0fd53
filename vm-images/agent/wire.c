// SPDX-License-Identifier: GPL-2.0
#include "wire.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	uint8_t *data;

	if (more > SIZE_MAX / 4 - b->len)
		abort();
	if (b->len + more <= b->cap)
		return;
	while (cap < b->len + more)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		fprintf(stderr, "buslab-agent: no memory for %zu bytes\n", cap);
		abort();
	}
	b->data = data;
	b->cap = cap;
}

void buf_put(struct buf *b, const void *bytes, size_t len)
{
	if (!len)
		return;
	buf_reserve(b, len);
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
}

void buf_u16(struct buf *b, uint16_t v)
{
	uint8_t raw[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	buf_put(b, raw, sizeof(raw));
}

void buf_u32(struct buf *b, uint32_t v)
{
	buf_u16(b, (uint16_t)v);
	buf_u16(b, (uint16_t)(v >> 16));
}

void buf_u64(struct buf *b, uint64_t v)
{
	buf_u32(b, (uint32_t)v);
	buf_u32(b, (uint32_t)(v >> 32));
}

/* Strings travel as length with NUL, then the bytes with NUL. */
void buf_str(struct buf *b, const char *s)
{
	buf_u32(b, (uint32_t)(strlen(s) + 1));
	buf_put(b, s, strlen(s) + 1);
}

void buf_drop(struct buf *b, size_t len)
{
	b->len -= len;
	if (b->len)
		memmove(b->data, b->data + len, b->len);
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

struct reader reader_of(const void *bytes, size_t len)
{
	return (struct reader){ .at = bytes, .left = len };
}

const uint8_t *read_bytes(struct reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	r->at += len;
	r->left -= len;
	return at;
}

uint16_t read_u16(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 2);

	return p ? (uint16_t)(p[0] | p[1] << 8) : 0;
}

uint32_t read_u32(struct reader *r)
{
	uint32_t low = read_u16(r);

	return low | (uint32_t)read_u16(r) << 16;
}

uint64_t read_u64(struct reader *r)
{
	uint64_t low = read_u32(r);

	return low | (uint64_t)read_u32(r) << 32;
}

/* Never NULL: a broken string sets r->bad and reads as "". */
const char *read_str(struct reader *r)
{
	uint32_t len = read_u32(r);
	const uint8_t *p = read_bytes(r, len);

	if (!p || !len || p[len - 1]) {
		r->bad = true;
		return "";
	}
	return (const char *)p;
}

/* IEEE 802.3, reflected, as zlib's crc32(): start with seed 0. */
uint32_t crc32_of(uint32_t seed, const void *bytes, size_t len)
{
	static uint32_t table[256];
	const uint8_t *p = bytes;
	uint32_t crc = ~seed;

	if (!table[1]) {
		for (uint32_t i = 255; i; i--) {
			uint32_t c = i;

			for (int k = 0; k < 8; k++)
				c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
			table[i] = c;
		}
	}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
