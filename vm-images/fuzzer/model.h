/* SPDX-License-Identifier: GPL-2.0 */
/* What the generator believes a program's slots to hold; programs may prove it wrong. */
#ifndef BUSLAB_FUZZ_MODEL_H
#define BUSLAB_FUZZ_MODEL_H

#include "command.h"

enum slot_kind {
	SLOT_EMPTY, SLOT_CONTROL, SLOT_BUS_OWNER, SLOT_ENDPOINT, SLOT_EP_OWNER, SLOT_CONN, SLOT_ACTIVATOR, SLOT_HOLDER,
	SLOT_MONITOR, SLOT_ENDED, SLOT_MEMFD, SLOT_SEALED, SLOT_SOCKET, SLOT_EPOLL, SLOT_RING, SLOT_OTHER,
};

/* What connections have: counts, or one bit each. */
enum thing {
	HAS_MESSAGES, HAS_SLICES, HAS_NAMES, HAS_MATCHES, HAS_COUNT,
};

struct model {
	uint8_t kind[SLOTS];
	uint8_t mapped[SLOTS];
	uint8_t has[HAS_COUNT][SLOTS];
	/* which thread touched it last */
	uint8_t thread[SLOTS];
	uint32_t uid;
	uint8_t buses;
	/* commands are seldom broken: deep states want many good ones in a row */
	bool mild;
};

#define MODEL_NAMES	5
extern const char *const model_names[MODEL_NAMES];
#define MODEL_CONTROL "control"

#define KIND(_name)	(1u << SLOT_ ## _name)
#define KINDS_CONN	(KIND(CONN) | KIND(ACTIVATOR) | KIND(HOLDER) | KIND(MONITOR))
#define KINDS_ANY	(~KIND(EMPTY))

bool model_has(const struct model *model, uint32_t kinds);
/* A slot of one of these kinds; any when there is none. */
uint8_t model_find(const struct model *model, struct rng *rng, uint32_t kinds);
/* The same, of those that have something; SLOTS when there is none. */
uint8_t model_find_having(const struct model *model, struct rng *rng, enum thing thing, uint32_t kinds);
/* Who owns the name, or SLOTS. */
uint8_t model_owner(const struct model *model, unsigned int name);
/* What a call leaves behind when it succeeds. */
void model_apply(struct model *model, const struct call *call);
void model_fill(struct model *model, const struct program *program, uint16_t calls);

#endif
