// SPDX-License-Identifier: GPL-2.0
/*
 * As process 1 of a machine that does nothing else: no systemd, no agent, no
 * network. Under icount everything that runs beside the measurement moves it.
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

static const struct {
	const char *type;
	const char *target;
} mounts[] = {
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

/* Ports are found by name, as no udev makes links to them. */
static int open_port(const char *name)
{
	char path[96], line[64] = "";

	for (unsigned int i = 1; i < 16; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport%up%u/name", i % 4, i / 4);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(line, sizeof(line), file))
			line[strcspn(line, "\n")] = 0;
		fclose(file);
		if (strcmp(line, name))
			continue;
		snprintf(path, sizeof(path), "/dev/vport%up%u", i % 4, i / 4);
		return open(path, O_WRONLY | O_CLOEXEC);
	}
	errno = ENODEV;
	return -1;
}

int run_as_init(int argc, char **argv)
{
	struct plan plan = { .steady = true };
	int port;

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		mount(mounts[i].type, mounts[i].target, mounts[i].type, 0, NULL);
	if (argc < 3 || argc > 4)
		off();

	port = open_port(argv[1]);
	if (port < 0 || dup2(port, STDOUT_FILENO) < 0)
		off();
	plan.rounds = (unsigned int)strtoul(argv[2], NULL, 10);
	plan.only = argc == 4 ? argv[3] : NULL;

	if (strcmp(argv[0], "none"))
		load(argv[0]);
	if (mount("kdbus", BUS_ROOT, "kdbusfs", 0, NULL) < 0)
		give_up("mounting kdbusfs at " BUS_ROOT);

	measure_all(&plan);
	off();
}
