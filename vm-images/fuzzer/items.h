/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_FUZZ_ITEMS_H
#define BUSLAB_FUZZ_ITEMS_H

#include "command.h"

void set64(struct call *call, uint16_t at, uint64_t value);
/* Appends zeros. */
void put_fixed(struct call *call, uint16_t bytes);
void put_bytes(struct call *call, const void *bytes, size_t n);
/* Payload follows; then item_end() with what this returned. */
uint16_t item_begin(struct call *call, uint64_t type);
void item_end(struct call *call, uint16_t at);
void item_string(struct call *call, uint64_t type, const char *text);
void item_words(struct call *call, uint64_t type, unsigned int count, const uint64_t *words);
void item_bloom(struct call *call, uint64_t type, struct rng *rng, unsigned int bytes, bool generation);
/* `<uid>-<prefix><n>`, as buses and endpoints are called. */
void item_owned_name(struct call *call, uint64_t type, uint32_t uid, const char *prefix, uint32_t n);

#endif
