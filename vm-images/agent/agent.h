/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: the agent
 *
 * One supervisor process runs an epoll loop over the link to the host, the
 * sockets of its peers and the pipes of its workers. A peer is a process that
 * runs programs; a worker is a short-lived child that does one request which
 * may block (files, modules, mounts, commands), so that the supervisor always
 * answers a ping. The agent does and reports, it never judges.
 *
 * Every request gets exactly one reply. The wire is described in PROTOCOL.md.
 */
#ifndef BUSLAB_AGENT_H
#define BUSLAB_AGENT_H

#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

#define AGENT_VERSION	1
#define MAX_PAYLOAD	(24u << 20)

/* Requests, client to agent. */
enum request_type {
	REQ_SYNC	= 1,
	REQ_PING	= 2,
	REQ_INFO	= 3,
	REQ_RESTORED	= 4,
	REQ_SPAWN	= 5,
	REQ_KILL	= 6,
	REQ_RUN		= 7,
	REQ_PASS_FD	= 8,
	REQ_STATE	= 9,
	REQ_KLOG	= 10,
	REQ_MARK	= 11,
	/* these run in a worker */
	REQ_EXEC	= 32,
	REQ_WRITE_FILE	= 33,
	REQ_READ_FILE	= 34,
	REQ_INSMOD	= 35,
	REQ_RMMOD	= 36,
	REQ_MOUNT	= 37,
	REQ_UMOUNT	= 38,
};

/* Agent to client. */
enum reply_type {
	REP_SYNC	= 0x101,	/* answer to REQ_SYNC alone: clients hunt for it */
	REP_OK		= 0x102,
	REP_ERROR	= 0x103,	/* u32 errno, string */
	EV_DEATH	= 0x201,	/* u32 peer, u32 pid, u32 wait status */
	EV_BAD_FRAME	= 0x202,	/* string */
};

/**
 * struct source - something the epoll loop watches
 * @fd:		owned by whoever embeds this
 * @ready:	called with the epoll events; may free the source
 */
struct source {
	int fd;
	void (*ready)(struct source *source, uint32_t events);
};

/* main.c */
int source_add(struct source *source, uint32_t events);
void source_change(struct source *source, uint32_t events);
void source_remove(struct source *source);
uint64_t now_ns(void);
extern uint32_t session; /* grows with each SYNC; replies to older ones are dropped */

/* frame.c: the link to the host */
struct frame {
	uint16_t type;
	uint32_t request;
	const uint8_t *payload;
	size_t len;
};

void link_adopt(int fd, bool is_port);
bool link_is_open(void);
void link_drop(void);
void link_service(void);
int link_timeout_ms(void);
void link_send(uint16_t type, uint32_t request, const void *payload, size_t len);
void reply_ok(uint32_t for_session, uint32_t request, const struct buf *payload);
void reply_error(uint32_t for_session, uint32_t request, int err, const char *format, ...)
	__attribute__((__format__(__printf__, 4, 5)));

/* ops_host.c: requests answered by the supervisor itself; false = not one of them */
bool host_request(const struct frame *frame);

/* Errno of REP_ERROR for a process that outlives SIGKILL: no number of the kernel's. */
#define AGENT_HELD	0x20000
/* Between two looks at a killed process. */
#define HELD_MS		2000u

/* held.c: where a thread of a killed process sleeps, and how often it has slept so far */
struct hold {
	pid_t tid;
	unsigned long sleeps;
	char place[64];
};

/* What a thread's file below /proc says, empty when it cannot be read. */
void thread_text(pid_t pid, const char *tid, const char *file, char *text, size_t size);

/* True with the sentence in @why when the same thread was found at the same place by the former look, kept in @hold. */
bool held(pid_t pid, struct hold *hold, struct buf *why);

/* worker.c: requests that may block */
bool worker_request(const struct frame *frame);
void worker_reaped(pid_t pid, int status);
int worker_timeout_ms(void);
void worker_expire(void);
/* The work itself, in the child: 0 and @reply, or a negative errno with @why. */
int worker_do(uint16_t type, struct reader *in, struct buf *reply, struct buf *why);
int op_exec(struct reader *in, struct buf *reply, struct buf *why);
int op_write_file(struct reader *in, struct buf *reply, struct buf *why);
int op_read_file(struct reader *in, struct buf *reply, struct buf *why);
int op_insmod(struct reader *in, struct buf *reply, struct buf *why);
int op_rmmod(struct reader *in, struct buf *reply, struct buf *why);
int op_mount(struct reader *in, struct buf *reply, struct buf *why);
int op_umount(struct reader *in, struct buf *reply, struct buf *why);
int make_parents(const char *path);

/* peer.c: the supervisor's side of peers */
bool peer_request(const struct frame *frame);
bool peer_reaped(pid_t pid, int status);
void peers_drain(void);
void peers_reset(void);
pid_t peer_pid(uint32_t id);

/* children begin with the signals and descriptors of an ordinary process */
void child_signals(void);

/* abi_dump.c */
int abi_dump(void);

#endif
