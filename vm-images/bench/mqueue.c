// SPDX-License-Identifier: GPL-2.0
/* A POSIX message queue for each direction. */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEPTH	16

static int raise_limit(const char *name, const char *value)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", name);
	file = fopen(path, "we");
	if (!file)
		return -1;
	fputs(value, file);
	return fclose(file);
}

static int prepare(struct pair *p)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct mq_attr attr = { .mq_maxmsg = DEPTH, .mq_msgsize = p->bytes ? (long)p->bytes : 1 };

	int ret = check(p, !setrlimit(RLIMIT_MSGQUEUE, &all), "RLIMIT_MSGQUEUE");

	if (!ret)
		ret = check(p, !raise_limit("msg_max", "64") && !raise_limit("msgsize_max", "16777216"),
			    "limits of message queues");
	for (int i = 0; i < 2 && !ret; i++) {
		p->fds[i] = mq_open("/buslab-bench", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
		ret = check(p, p->fds[i] >= 0, "mq_open");
		mq_unlink("/buslab-bench");
	}
	return ret;
}

static void nothing_to_open(struct pair *p)
{
	(void)p;
}

static void put(struct pair *p, int queue)
{
	must(p, !mq_send(queue, (const char *)p->data, p->bytes, 0), "mq_send");
}

static void get(struct pair *p, int queue)
{
	must(p, mq_receive(queue, (char *)p->sink, INLINE_MAX, NULL) == (ssize_t)p->bytes, "mq_receive");
	touch(p->sink, p->bytes);
}

static void post(struct pair *p)
{
	put(p, p->fds[0]);
}

static void take(struct pair *p)
{
	get(p, p->fds[0]);
}

static void call(struct pair *p)
{
	put(p, p->fds[0]);
	get(p, p->fds[1]);
}

static void serve(struct pair *p)
{
	get(p, p->fds[0]);
	put(p, p->fds[1]);
}

const struct transport mqueue_transport = {
	.name = "POSIX message queue",
	.prepare = prepare,
	.serve_open = nothing_to_open,
	.call_open = nothing_to_open,
	.call = call,
	.serve = serve,
	.post = post,
	.take = take,
};
