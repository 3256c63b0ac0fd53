/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_PEER_WIRE_H
#define BUSLAB_PEER_WIRE_H

#include <stdint.h>

/*
 * What supervisor and peer say to each other over their socket pair. Both run
 * on one machine, so fields are in native order, but of fixed width: a 32-bit
 * peer serves a 64-bit supervisor. A descriptor rides on the first byte.
 */
enum peer_msg_kind {
	/* supervisor to peer */
	PM_RUN		= 1,	/* arg: thread; payload: program */
	PM_TKILL	= 2,	/* arg: thread; value: signal */
	PM_GIVE		= 3,	/* value: descriptor to hand over */
	PM_TAKE		= 4,	/* with descriptor; value: wanted number or -1; arg: 1 = close on exec */
	PM_FORK		= 5,	/* with descriptor: the child's socket; arg: its number; payload: options */
	PM_MAPPED	= 6,	/* value: errno of writing the id maps */
	/* peer to supervisor */
	PM_READY	= 16,	/* value: own pid */
	PM_FAILED	= 17,	/* value: errno; payload: text; the child exits */
	PM_WANT_MAPS	= 18,
	PM_RESULT	= 19,	/* request done; payload: result */
	PM_GAVE		= 20,	/* with descriptor */
	PM_ERROR	= 21,	/* request failed; value: errno; payload: text */
};

struct peer_msg {
	uint32_t len;		/* of the payload behind it */
	uint16_t kind;
	uint16_t has_fd;
	uint32_t request;
	uint32_t arg;
	int64_t value;
};

/* Tags of the options of a new peer: u32 tag, u32 length, bytes (see PROTOCOL.md). */
enum spawn_tag {
	SP_UIDS = 1, SP_GIDS, SP_GROUPS, SP_CAPS, SP_NAMESPACES,
	SP_UID_MAP, SP_GID_MAP, SP_SETGROUPS, SP_CGROUP, SP_CHROOT,
	SP_CWD, SP_LSM_ATTR, SP_NICE, SP_AFFINITY, SP_RLIMIT,
	SP_EXEC, SP_COMM, SP_JOIN, SP_HOSTNAME, SP_MOUNT_PROC,
	SP_TIME_OFFSETS, SP_LOGINUID, SP_SECUREBITS, SP_NO_NEW_PRIVS, SP_DUMPABLE,
	SP_UMASK, SP_OOM_SCORE_ADJ, SP_SETSID,
};

#endif
