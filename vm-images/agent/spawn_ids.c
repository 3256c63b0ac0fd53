// SPDX-License-Identifier: GPL-2.0
/* Labels, ids and capabilities of a new peer. */
#define _GNU_SOURCE
#include "spawn.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peer_wire.h"

/*
 * Ids are set by raw system calls: the wrappers of the C library insist on
 * doing it in all threads and hide the 32-bit variants.
 */
#ifdef SYS_setresuid32
#define NR_SETRESUID	SYS_setresuid32
#define NR_SETRESGID	SYS_setresgid32
#define NR_SETGROUPS	SYS_setgroups32
#define NR_SETFSUID	SYS_setfsuid32
#define NR_SETFSGID	SYS_setfsgid32
#else
#define NR_SETRESUID	SYS_setresuid
#define NR_SETRESGID	SYS_setresgid
#define NR_SETGROUPS	SYS_setgroups
#define NR_SETFSUID	SYS_setfsuid
#define NR_SETFSGID	SYS_setfsgid
#endif

#define KEEP		UINT32_MAX

/* Label options: u32 0 = before the ids are set, 1 = after; string file below attr/, string value. */
void write_labels(const uint8_t *options, size_t len, uint32_t when, int fds[MAX_LABELS])
{
	struct reader r;

	for (int i = 0; i < MAX_LABELS && option(options, len, SP_LSM_ATTR, i, &r); i++) {
		uint32_t at = read_u32(&r);
		const char *file = read_str(&r), *value = read_str(&r);
		char path[300];

		snprintf(path, sizeof(path), "/proc/self/attr/%.200s", file);
		if (!when) /* opened early: afterwards the file may be out of reach */
			fds[i] = open(path, O_WRONLY | O_CLOEXEC);
		if (at != when)
			continue;
		if (fds[i] < 0 || write(fds[i], value, strlen(value)) < 0)
			die("label %s to %s", value, path);
	}
	for (int i = 0; when && i < MAX_LABELS; i++)
		closep(&fds[i]);
}

/*
 * u32 which (1 effective, 2 permitted, 4 inheritable, 8 bounding, 16 ambient), then these
 * five u64, then u64 what is taken from all sets
 */
void set_capabilities(struct reader *r)
{
	uint32_t which = read_u32(r);
	uint64_t set[5], drop;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 5; i++)
		set[i] = read_u64(r);
	drop = read_u64(r);
	if (syscall(SYS_capget, &head, data) < 0)
		die("capget");
	for (int i = 0; i < 2; i++) {
		if (which & 1)
			data[i].effective = (uint32_t)(set[0] >> 32 * i);
		if (which & 2)
			data[i].permitted = (uint32_t)(set[1] >> 32 * i);
		if (which & 4)
			data[i].inheritable = (uint32_t)(set[2] >> 32 * i);
		data[i].permitted &= ~(uint32_t)(drop >> 32 * i);
		data[i].inheritable &= ~(uint32_t)(drop >> 32 * i);
		data[i].effective &= ~(uint32_t)(drop >> 32 * i);
		if (!(which & 1)) /* what is not permitted cannot be effective */
			data[i].effective &= data[i].permitted;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		die("capset");
	for (unsigned int cap = 0; which & 16 && cap < 64; cap++)
		if (set[4] >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			die("ambient capability %u", cap);
}

void bound_capabilities(struct reader r)
{
	uint32_t which = read_u32(&r);
	uint64_t set[6], keep;

	for (int i = 0; i < 6; i++)
		set[i] = read_u64(&r);
	keep = (which & 8 ? set[3] : ~0ull) & ~set[5];
	for (unsigned int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			die("dropping capability %u from the bounding set", cap);
}

void set_ids(const uint8_t *options, size_t len)
{
	struct reader r;
	uint32_t id[4];

	if (OPTION(SP_GROUPS)) {
		uint32_t groups[512], n = 0;

		while (r.left >= 4 && n < 512)
			groups[n++] = read_u32(&r);
		if (syscall(NR_SETGROUPS, n, groups) < 0)
			die("setgroups");
	}
	if (OPTION(SP_GIDS)) {
		for (int i = 0; i < 4; i++)
			id[i] = read_u32(&r);
		if (syscall(NR_SETRESGID, id[0], id[1], id[2]) < 0)
			die("setresgid %u %u %u", id[0], id[1], id[2]);
		if (id[3] != KEEP && (syscall(NR_SETFSGID, id[3]), (uint32_t)syscall(NR_SETFSGID, KEEP) != id[3]))
			die("setfsgid %u", id[3]);
	}
	if (OPTION(SP_UIDS)) {
		for (int i = 0; i < 4; i++)
			id[i] = read_u32(&r);
		if (syscall(NR_SETRESUID, id[0], id[1], id[2]) < 0)
			die("setresuid %u %u %u", id[0], id[1], id[2]);
		if (id[3] != KEEP && (syscall(NR_SETFSUID, id[3]), (uint32_t)syscall(NR_SETFSUID, KEEP) != id[3]))
			die("setfsuid %u", id[3]);
	}
}
