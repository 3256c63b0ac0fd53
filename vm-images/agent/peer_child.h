/* SPDX-License-Identifier: GPL-2.0 */
/* The peer's side: its set-up, its control loop and its threads. */
#ifndef BUSLAB_PEER_CHILD_H
#define BUSLAB_PEER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

extern uint32_t peer_id;

/* spawn.c: becomes peer @id; @inherit: forked from a peer, descriptors stay */
__attribute__((__noreturn__))
void peer_begin(int ctl, uint32_t id, const uint8_t *options, size_t len, bool inherit);
/* after exec of the agent as a peer */
int peer_continue(int ctl, int options_fd, int arena);
/* the pid, for joining namespaces; set by the supervisor before it forks */
extern pid_t (*spawn_lookup)(uint32_t id);

/* peer_child.c */
__attribute__((__noreturn__))
void peer_loop(int ctl);
int peer_tell(int ctl, uint16_t kind, uint32_t request, int64_t value, const void *payload, size_t len, int fd);
bool peer_hear(int ctl, void *msg, struct buf *payload, int *fd);

/* program.c */
void program_setup(void);
void program_run(uint8_t *bytes, size_t len, uint32_t thread, struct buf *result, bool *end_thread);

#endif
