// SPDX-License-Identifier: GPL-2.0
/* Debian's two message brokers, started by hand with a policy that allows everything. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define MACHINE_ID	"62656e63680000000000000000000001"

static const char daemon_config[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig>\n<type>custom</type>\n<auth>EXTERNAL</auth>\n<listen>unix:path=/run/buslab-bench.dbus-daemon</listen>\n"
	"<policy context=\"default\">\n<allow user=\"*\"/>\n<allow own=\"*\"/>\n<allow send_destination=\"*\" eavesdrop=\"true\"/>\n<allow eavesdrop=\"true\"/>\n</policy>\n"
	"<limit name=\"max_connections_per_user\">1024</limit>\n<limit name=\"max_completed_connections\">1024</limit>\n"
	"<limit name=\"max_incoming_bytes\">133169152</limit>\n<limit name=\"max_outgoing_bytes\">133169152</limit>\n<limit name=\"max_message_size\">33554432</limit>\n"
	"</busconfig>\n";

static struct daemon {
	const char *program;
	const char *address;
	int (*start)(struct daemon *d);
	pid_t pid;
	sd_bus *controller;
} daemons[MAX_DAEMONS];

static struct daemon *find(const char *program)
{
	for (unsigned int i = 0; i < MAX_DAEMONS; i++)
		if (!strcmp(daemons[i].program, program))
			return &daemons[i];
	abort();
}

static pid_t launch(const char *const *argv, int keep)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* what a broker has to say is not a result */
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || fcntl(keep, F_SETFD, 0) < 0)
		_exit(126);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int start_daemon(struct daemon *d)
{
	static const char path[] = "/run/buslab-bench.conf";
	char print[40], byte;
	const char *const argv[] = {
		"/usr/bin/dbus-daemon", "--config-file=/run/buslab-bench.conf",
		"--nofork", "--nopidfile", "--nosyslog", print, NULL,
	};
	int ready[2], ret;
	FILE *file;

	unlink("/run/buslab-bench.dbus-daemon");
	file = fopen(path, "we");
	if (!file || fputs(daemon_config, file) < 0 || fclose(file) || pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	snprintf(print, sizeof(print), "--print-address=%d", ready[1]);
	d->pid = launch(argv, ready[1]);
	close(ready[1]);
	/* the address is printed when it listens */
	ret = d->pid > 0 && read(ready[0], &byte, 1) == 1 ? 0 : -1;
	close(ready[0]);
	return ret;
}

static int listen_at(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	unlink(path);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 256) < 0)
		return -1;
	return fd;
}

#define BATCH	"bta(btbs)a(btssssuutt)a(btssssuutt)"

/* The policy of a listener: everybody may connect, own, send and receive. */
static int append_policy(sd_bus_message *m)
{
	static const char type[] = "a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs";
	const uint64_t first = 1;

	sd_bus_message_open_container(m, 'v', "(a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs)");
	sd_bus_message_open_container(m, 'r', type);
	sd_bus_message_append(m, "a(u(" BATCH "))", 1, (uint32_t)-1, 1, first,
			      1, 1, first, 1, "",
			      1, 1, first, "", "", "", "", 0, 0, (uint64_t)0, (uint64_t)UINT64_MAX,
			      1, 1, first, "", "", "", "", 0, 0, (uint64_t)0, (uint64_t)UINT64_MAX);
	sd_bus_message_append(m, "a(buu(" BATCH "))", 0);
	sd_bus_message_append(m, "a(ss)", 0);
	sd_bus_message_append(m, "bs", 0, "session");
	sd_bus_message_close_container(m);
	return sd_bus_message_close_container(m);
}

/* dbus-broker is told by a controller where to listen; systemd's launcher, the usual one, needs systemd. */
static int start_broker(struct daemon *d)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int pair[2], listener, ret;
	char fd[16];
	const char *const argv[] = {
		"/usr/bin/dbus-broker", "--controller", fd, "--machine-id", MACHINE_ID,
		"--max-bytes", "536870912", "--max-fds", "4096",
		"--max-matches", "131072", "--max-objects", "65536", NULL,
	};

	listener = listen_at("/run/buslab-bench.dbus-broker");
	if (listener < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	snprintf(fd, sizeof(fd), "%d", pair[1]);
	d->pid = launch(argv, pair[1]);
	close(pair[1]);
	if (d->pid <= 0 || sd_bus_new(&d->controller) < 0 ||
	    sd_bus_set_fd(d->controller, pair[0], pair[0]) < 0 || sd_bus_start(d->controller) < 0)
		return -1;
	ret = sd_bus_message_new_method_call(d->controller, &m, NULL, "/org/bus1/DBus/Broker", "org.bus1.DBus.Broker",
					     "AddListener");
	if (ret >= 0)
		ret = sd_bus_message_append(m, "oh", "/org/bus1/DBus/Listener/0", listener);
	if (ret >= 0)
		ret = append_policy(m);
	if (ret >= 0)
		ret = sd_bus_call(d->controller, m, 0, &error, NULL);
	if (ret < 0)
		fprintf(stderr, "dbus-broker: %s\n", error.message ? error.message : strerror(-ret));
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	close(listener);
	return ret < 0 ? -1 : 0;
}

static struct daemon daemons[MAX_DAEMONS] = {
	{ "dbus-daemon", "unix:path=/run/buslab-bench.dbus-daemon", start_daemon, 0, NULL },
	{ "dbus-broker", "unix:path=/run/buslab-bench.dbus-broker", start_broker, 0, NULL },
};

const char *daemon_address(const char *program)
{
	return find(program)->address;
}

pid_t daemon_pid(const char *program)
{
	return find(program)->pid;
}

int daemon_start(const char *program)
{
	struct daemon *d = find(program);

	return d->start(d);
}

void daemons_stop(void)
{
	for (unsigned int i = 0; i < MAX_DAEMONS; i++) {
		if (daemons[i].pid <= 0)
			continue;
		kill(daemons[i].pid, SIGKILL);
		waitpid(daemons[i].pid, NULL, 0);
	}
}
