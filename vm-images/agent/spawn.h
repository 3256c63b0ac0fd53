/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_SPAWN_H
#define BUSLAB_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* Tells the supervisor why, with errno, and ends the child. */
__attribute__((__noreturn__, __format__(__printf__, 1, 2)))
void die(const char *format, ...);

/* One option by its tag; @nth counts those that may come more than once. */
bool option(const uint8_t *options, size_t len, uint32_t tag, int nth, struct reader *value);

#define OPTION(tag)	option(options, len, tag, 0, &r)

/* spawn_ids.c: who the process is; see PROTOCOL.md for the layout of each option */
#define MAX_LABELS	8
void write_labels(const uint8_t *options, size_t len, uint32_t when, int fds[MAX_LABELS]);
void bound_capabilities(struct reader r);
void set_capabilities(struct reader *r);
void set_ids(const uint8_t *options, size_t len);

#endif
