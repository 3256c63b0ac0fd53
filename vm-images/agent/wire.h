/* SPDX-License-Identifier: GPL-2.0 */
/* Bounded reading and growing writing of little-endian fields. */
#ifndef BUSLAB_WIRE_H
#define BUSLAB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Growing byte buffer; memory that cannot be had ends the process. */
struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

/*
 * Cursor over received bytes. Reading past the end sets @bad and yields
 * zeros, so that a parser checks once, after its last field.
 */
struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

void buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, const void *bytes, size_t len);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_str(struct buf *b, const char *s);
void buf_drop(struct buf *b, size_t len);
void buf_free(struct buf *b);

struct reader reader_of(const void *bytes, size_t len);
const uint8_t *read_bytes(struct reader *r, size_t len);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
const char *read_str(struct reader *r);

uint32_t crc32_of(uint32_t seed, const void *bytes, size_t len);

#define _cleanup_(f) __attribute__((__cleanup__(f)))
static inline void freep(void *p)
{
	free(*(void **)p);
}

void closep(int *fd);
#define _cleanup_close_ _cleanup_(closep)

#endif
