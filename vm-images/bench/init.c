// SPDX-License-Identifier: GPL-2.0
/*
 * As process 1 of a machine that does nothing else: no systemd, no agent, no
 * network, no disk. Under icount everything that runs beside the measurement
 * moves it, and a device that answers when the host pleases most of all. So
 * all comes with the kernel in its initial RAM disk, and all that is seen
 * goes out through the kernel's log, whose console is written by the
 * processor itself and interrupts nobody.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Read by bare-machine.ts. */
#define LOG_PREFIX	"bench: "

static const struct {
	const char *type;
	const char *target;
} mounts[] = {
	{ "devtmpfs", "/dev" },
	{ "proc", "/proc" },
	{ "sysfs", "/sys" },
	{ "tmpfs", "/run" },
	{ "tmpfs", "/tmp" },
	{ "tracefs", "/sys/kernel/tracing" },
};

static void off(void) __attribute__((__noreturn__));
static void off(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void give_up(const char *what)
{
	printf("{\"failed\":\"%s: %s\"}\n", what, strerror(errno));
	fflush(stdout);
	off();
}

static void load(const char *module)
{
	int fd = open(module, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
		give_up("loading the module");
	close(fd);
}

/* Each line becomes one of the kernel's log; LOG_PREFIX tells it from the kernel's own. */
static ssize_t say(void *kmsg, const char *text, size_t length)
{
	static const char prefix[] = "<6>" LOG_PREFIX;
	char line[sizeof(prefix) + 800];

	memcpy(line, prefix, sizeof(prefix) - 1);
	for (size_t at = 0; at < length;) {
		const char *end = memchr(text + at, '\n', length - at);
		size_t whole = end ? (size_t)(end - text) - at : length - at;
		size_t n = whole < 800 ? whole : 800;

		memcpy(line + sizeof(prefix) - 1, text + at, n);
		if (write(*(int *)kmsg, line, sizeof(prefix) - 1 + n) < 0)
			return 0;
		at += whole + (end ? 1 : 0);
	}
	return (ssize_t)length;
}

static FILE *open_log(void)
{
	static int kmsg;
	const cookie_io_functions_t functions = { .write = say };
	FILE *log;

	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	log = kmsg < 0 ? NULL : fopencookie(&kmsg, "w", functions);
	if (log)
		setvbuf(log, NULL, _IOFBF, BUFSIZ);
	return log;
}

int run_as_init(int argc, char **argv)
{
	struct plan plan = { .steady = true };

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].target, 0755);
		mount(mounts[i].type, mounts[i].target, mounts[i].type, 0, NULL);
	}
	stdout = open_log();
	if (!stdout || argc < 2 || argc > 3)
		off();
	stderr = stdout;
	plan.rounds = (unsigned int)strtoul(argv[1], NULL, 10);
	plan.only = argc == 3 ? argv[2] : NULL;

	if (strcmp(argv[0], "none"))
		load(argv[0]);
	if (mount("kdbus", BUS_ROOT, "kdbusfs", 0, NULL) < 0)
		give_up("mounting kdbusfs at " BUS_ROOT);

	measure_all(&plan);
	off();
}
