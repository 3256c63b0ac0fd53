/* SPDX-License-Identifier: GPL-2.0 */
/* Calls that are not ioctls of the bus, and the descriptors they share. */
#ifndef BUSLAB_FUZZ_SLOTS_H
#define BUSLAB_FUZZ_SLOTS_H

#include "session.h"

int slot_fd(uint32_t slot);
/* Closes what was there. */
void slot_set(uint32_t slot, int fd);
long slot_keep(uint32_t slot, int fd);
/* The result, or the error as a negative number. */
long result_of(long result);
/* The path in data, below the mount. */
const char *slot_path(const struct call *call, char *path, size_t room);

long child_execute(const struct call *call);
long node_execute(const struct call *call);
long mount_execute(const struct call *call);
long look_execute(const struct call *call);

#endif
