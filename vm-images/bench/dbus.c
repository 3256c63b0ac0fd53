// SPDX-License-Identifier: GPL-2.0
/* D-Bus through a daemon, with sd-bus as the library of both sides. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define PATH		"/bench"
#define INTERFACE	"org.buslab.Bench"
#define NEVER_US	(3600ull * 1000000ull)

struct dbus_end {
	sd_bus *bus;
	unsigned int taken;
};

struct dbus_side {
	struct dbus_end main;
	struct dbus_end *others;
};

static struct dbus_side *side_of(struct pair *p)
{
	return p->own;
}

static void good(struct pair *p, int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	fail(p, what);
}

static void connect_end(struct pair *p, struct dbus_end *end)
{
	good(p, sd_bus_new(&end->bus), "sd_bus_new");
	good(p, sd_bus_set_address(end->bus, daemon_address(p->transport->daemon)), "sd_bus_set_address");
	good(p, sd_bus_set_bus_client(end->bus, true), "sd_bus_set_bus_client");
	good(p, sd_bus_start(end->bus), "sd_bus_start");
}

static void side_open(struct pair *p)
{
	const char *name;

	p->own = calloc(1, sizeof(struct dbus_side));
	must(p, p->own, "memory");
	connect_end(p, &side_of(p)->main);
	good(p, sd_bus_get_unique_name(side_of(p)->main.bus, &name), "sd_bus_get_unique_name");
}

static void put_payload(struct pair *p, sd_bus_message *m)
{
	if (pair_is_by_fd(p))
		good(p, sd_bus_message_append(m, "h", p->memfd), "appending a descriptor");
	else
		good(p, sd_bus_message_append_array(m, 'y', p->data, p->bytes), "appending payload");
}

static void look_at(struct pair *p, sd_bus_message *m)
{
	const void *data;
	size_t size;
	int fd;

	if (pair_is_by_fd(p)) {
		good(p, sd_bus_message_read(m, "h", &fd), "reading a descriptor");
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the message closes its own */
		must(p, fd >= 0, "dup");
		touch_fd(p, fd);
		return;
	}
	good(p, sd_bus_message_read_array(m, 'y', &data, &size), "reading payload");
	must(p, size == p->bytes, "payload of another size");
	touch(data, size);
}

struct receiver {
	struct pair *pair;
	struct dbus_end *end;
};

static int on_message(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct receiver *r = data;
	sd_bus_message *answer;

	(void)error;
	look_at(r->pair, m);
	r->end->taken++;
	if (!sd_bus_message_get_expect_reply(m))
		return 1;
	good(r->pair, sd_bus_message_new_method_return(m, &answer), "making an answer");
	put_payload(r->pair, answer);
	good(r->pair, sd_bus_send(NULL, answer, NULL), "sending an answer");
	sd_bus_message_unref(answer);
	return 1;
}

static void listen_at(struct pair *p, struct dbus_end *end, bool matching)
{
	struct receiver *r = malloc(sizeof(*r));
	char rule[128];

	must(p, r, "memory");
	*r = (struct receiver){ p, end };
	snprintf(rule, sizeof(rule), "type='signal',interface='" INTERFACE "',member='%s'",
		 matching ? "Wanted" : "Other");
	good(p, sd_bus_add_match(end->bus, NULL, rule, on_message, r), "sd_bus_add_match");
}

static void serve_open(struct pair *p)
{
	struct receiver *r = malloc(sizeof(*r));
	struct dbus_side *side;
	const char *name;

	side_open(p);
	side = side_of(p);
	must(p, r, "memory");
	*r = (struct receiver){ p, &side->main };
	good(p, sd_bus_get_unique_name(side->main.bus, &name), "sd_bus_get_unique_name");
	snprintf(p->board->name, sizeof(p->board->name), "%s", name);
	if (p->what != MULTICAST) {
		good(p, sd_bus_add_object(side->main.bus, NULL, PATH, on_message, r), "sd_bus_add_object");
		return;
	}

	listen_at(p, &side->main, p->matching > 0);
	side->others = calloc(p->receivers, sizeof(*side->others));
	must(p, side->others, "memory");
	for (unsigned int i = 1; i < p->receivers; i++) {
		connect_end(p, &side->others[i]);
		listen_at(p, &side->others[i], i < p->matching);
	}
}

/* Handles what came until one message of ours was among it. */
static void take_from(struct pair *p, struct dbus_end *end)
{
	const unsigned int before = end->taken;
	int ret;

	while (end->taken == before) {
		ret = sd_bus_process(end->bus, NULL);
		good(p, ret, "sd_bus_process");
		if (!ret)
			good(p, sd_bus_wait(end->bus, UINT64_MAX), "sd_bus_wait");
	}
}

static void take(struct pair *p)
{
	take_from(p, &side_of(p)->main);
}

/* An answer that did not go out at once waits for the next time, which may never come. */
static void serve(struct pair *p)
{
	take(p);
	good(p, sd_bus_flush(side_of(p)->main.bus), "sd_bus_flush");
}

static sd_bus_message *new_call(struct pair *p)
{
	sd_bus_message *m;

	good(p, sd_bus_message_new_method_call(side_of(p)->main.bus, &m, p->board->name, PATH, INTERFACE, "Swap"),
	     "making a call");
	put_payload(p, m);
	return m;
}

static void call(struct pair *p)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = new_call(p), *answer;

	good(p, sd_bus_call(side_of(p)->main.bus, m, NEVER_US, &error, &answer), "sd_bus_call");
	look_at(p, answer);
	sd_bus_message_unref(answer);
	sd_bus_message_unref(m);
}

static void post(struct pair *p)
{
	sd_bus_message *m = new_call(p);

	good(p, sd_bus_message_set_expect_reply(m, false), "a call without answer");
	good(p, sd_bus_send(side_of(p)->main.bus, m, NULL), "sd_bus_send");
	sd_bus_message_unref(m);
}

static void flush(struct pair *p)
{
	good(p, sd_bus_flush(side_of(p)->main.bus), "sd_bus_flush");
}

static void emit(struct pair *p)
{
	sd_bus_message *m;

	good(p, sd_bus_message_new_signal(side_of(p)->main.bus, &m, PATH, INTERFACE, "Wanted"), "making a signal");
	put_payload(p, m);
	good(p, sd_bus_send(side_of(p)->main.bus, m, NULL), "sd_bus_send");
	sd_bus_message_unref(m);
}

static void drain(struct pair *p)
{
	struct dbus_side *side = side_of(p);

	if (!p->matching)
		return;
	take_from(p, &side->main);
	for (unsigned int i = 1; i < p->matching; i++)
		take_from(p, &side->others[i]);
}

#define DBUS_TRANSPORT(_name)		\
	{				\
		.name = _name,		\
		.daemon = _name,	\
		.passes_fds = true,	\
		.serve_open = serve_open,	\
		.call_open = side_open,	\
		.call = call,		\
		.serve = serve,		\
		.post = post,		\
		.flush = flush,		\
		.take = take,		\
		.signal = emit,		\
		.drain = drain,		\
	}

const struct transport dbus_daemon_transport = DBUS_TRANSPORT("dbus-daemon");
const struct transport dbus_broker_transport = DBUS_TRANSPORT("dbus-broker");
