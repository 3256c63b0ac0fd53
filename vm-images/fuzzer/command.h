/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_FUZZ_COMMAND_H
#define BUSLAB_FUZZ_COMMAND_H

#include "program.h"
#include "random.h"

/* Commands by the number that programs use. */
enum command {
	CMD_BUS_MAKE, CMD_ENDPOINT_MAKE, CMD_ENDPOINT_UPDATE, CMD_HELLO, CMD_UPDATE, CMD_BYEBYE, CMD_FREE,
		CMD_CONN_INFO,
	CMD_BUS_CREATOR_INFO, CMD_LIST, CMD_SEND, CMD_RECV, CMD_NAME_ACQUIRE, CMD_NAME_RELEASE, CMD_MATCH_ADD,
	CMD_MATCH_REMOVE, CMD_COUNT,
};

struct command_row {
	const char *name;
	uint32_t number;
	uint16_t fixed;
};

extern const struct command_row commands[CMD_COUNT];

struct model;

/* A command that should succeed on the handle in call->arg[0]. */
void command_build(struct call *call, enum command command, struct rng *rng, const struct model *model);
/* Breaks one to three things of it: sizes, items, flags, bytes. */
void command_spoil(struct call *call, struct rng *rng);
/* Appends to data. */
void put_number(struct call *call, uint64_t value, unsigned int bytes);
void put_patch(struct call *call, uint16_t at, uint8_t kind, uint8_t slot, int32_t add);
/* A number that finds mistakes. */
uint64_t odd_number(struct rng *rng);

#endif
