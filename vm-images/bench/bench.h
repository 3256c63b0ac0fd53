/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: the benchmark program
 *
 * Runs in the guest and compares ways to talk between processes. A controller
 * forks, for each way ("transport") and size, a server and a client, tells
 * both over a socket how many turns of what to do, and stays out of it until
 * both are done. What it sees goes to its output as one JSON object a line;
 * what the numbers mean is decided by whoever reads them.
 *
 * Three passes over the same loops, because looking costs:
 *  - time: the client's clock around a number of turns, nothing else;
 *  - counts: system calls by perf's raw_syscalls:sys_enter and context
 *    switches from /proc, for all processes that take part;
 *  - copies: sizes given to the kernel's functions that copy between kernel
 *    and user memory, from the trace buffer.
 * Counts and copies are taken for n and for 2n turns; the difference is what n
 * turns cost, whatever starting and stopping cost.
 */
#ifndef BUSLAB_BENCH_H
#define BUSLAB_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BUS_ROOT	"/sys/fs/kdbus"
/* Payloads above this travel as a memfd, where the transport passes descriptors. */
#define INLINE_MAX	1048576u
#define MAX_DAEMONS	2

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

enum what {
	ROUND_TRIP,
	ONE_WAY,
	MULTICAST,
};

/**
 * struct board - memory that all processes of a pair share
 * @id:		address of the server: a number ...
 * @name:	... or a string
 * @error:	why a process gave up
 */
struct board {
	uint64_t id;
	char name[96];
	char error[200];
};

/**
 * struct pair - one transport at one size, before and behind the fork
 * @transport:	how
 * @what:	what is measured
 * @bytes:	payload
 * @receivers:	MULTICAST: receivers in all
 * @matching:	MULTICAST: how many of them a signal matches
 * @board:	shared
 * @ack:	pipe from server to client, for the ends of bursts
 * @fds:	made by prepare(): server's and client's end
 * @memfd:	payload above INLINE_MAX, sealed
 * @data:	payload up to INLINE_MAX
 * @sink:	where a receiver copies to, if the transport makes it copy
 */
struct pair {
	const struct transport *transport;
	enum what what;
	size_t bytes;
	unsigned int receivers;
	unsigned int matching;
	struct board *board;
	int ack[2];
	int fds[2];
	int memfd;
	uint8_t *data;
	uint8_t *sink;
	void *own; /* the transport's, in the child */
};

/**
 * struct transport - a way to talk
 * @name:	in figures
 * @passes_fds:	payload above INLINE_MAX goes as a descriptor
 * @daemon:	program in the middle, or NULL
 * @prepare:	in the controller, before the fork; may be NULL
 * @serve_open:	in the server; fills the board
 * @call_open:	in the client, after serve_open()
 * @call:	client: one request and its answer
 * @serve:	server: one request and its answer
 * @post:	client: one message without answer
 * @flush:	client: everything posted is on its way; may be NULL
 * @take:	server: one message without answer
 * @signal:	client: one signal to many; NULL: the transport has no multicast
 * @drain:	server: one signal at each receiver that it matches
 *
 * prepare() returns 0, or -1 with a reason on the board; all else ends in fail().
 */
struct transport {
	const char *name;
	bool passes_fds;
	const char *daemon;
	int (*prepare)(struct pair *p);
	void (*serve_open)(struct pair *p);
	void (*call_open)(struct pair *p);
	void (*call)(struct pair *p);
	void (*serve)(struct pair *p);
	void (*post)(struct pair *p);
	void (*flush)(struct pair *p);
	void (*take)(struct pair *p);
	void (*signal)(struct pair *p);
	void (*drain)(struct pair *p);
};

extern const struct transport kdbus_transport;
extern const struct transport stream_transport;
extern const struct transport seqpacket_transport;
extern const struct transport mqueue_transport;
extern const struct transport binder_transport;
extern const struct transport dbus_daemon_transport;
extern const struct transport dbus_broker_transport;

static inline bool pair_is_by_fd(const struct pair *p)
{
	return p->bytes > INLINE_MAX;
}

/* Ends this process: says why on the board, with the last error. */
void fail(struct pair *p, const char *what) __attribute__((__noreturn__));
void must(struct pair *p, bool good, const char *what);
/* The same in the controller, which goes on without this pair: 0 or -1. */
int check(struct pair *p, bool good, const char *what);
/* Looks at payload that arrived: first and last byte of each page. */
void touch(const uint8_t *data, size_t bytes);
/* Maps a received memfd, looks at both ends, unmaps and closes it. */
void touch_fd(struct pair *p, int fd);
uint64_t now_ns(void);
extern uint8_t sink_of_touch;

/* init.c */
int run_as_init(int argc, char **argv);

/* sockets.c */
void send_fd(struct pair *p, int sock, int fd);
int recv_fd(struct pair *p, int sock);

/* daemons.c */
const char *daemon_address(const char *program);
pid_t daemon_pid(const char *program);
int daemon_start(const char *program);
void daemons_stop(void);

/* count.c */
struct counts {
	uint64_t syscalls;
	uint64_t switches;
};

struct watch;
struct watch *watch_open(const pid_t *pids, unsigned int n);
void watch_read(const struct watch *w, struct counts *counts);
void watch_close(struct watch *w);
int copies_open(const pid_t *pids, unsigned int n);
void copies_start(void);
int64_t copies_stop(void);
void copies_close(void);
const char *count_error(void);

/* pair.c */
/**
 * struct report - what a client saw
 * @ns:		the whole time, by its clock
 * @part_ns:	of it while posting or signalling
 */
struct report {
	uint64_t ns;
	uint64_t part_ns;
};

/**
 * struct running - a pair at work
 * @pair:	what it does
 * @pids:	server, client, and the daemon between them
 * @n_pids:	how many of them there are
 * @wires:	to server and client
 */
struct running {
	struct pair *pair;
	pid_t pids[3];
	unsigned int n_pids;
	int wires[2];
};

/* NULL and a reason when it could not be started. */
struct running *pair_start(const struct pair *wanted, char *why, size_t why_size);
/* One order to both sides; false when one ended instead. */
bool pair_drive(const struct running *r, uint32_t turns, uint32_t burst, struct report *report);
void pair_settle(const struct running *r);
void pair_stop(struct running *r);

/* measure.c */
struct plan {
	bool steady; /* under icount: few turns, one round */
	unsigned int rounds;
	const char *only; /* transports, comma-separated, or NULL */
};

int measure_all(const struct plan *plan);

#endif /* BUSLAB_BENCH_H */
