// SPDX-License-Identifier: GPL-2.0
/*
 * First program of a kernel whose drivers are modules: loads the modules that
 * are named in /modules, one path a line, in that order, then does what the
 * kernel itself does without an initial RAM disk: mounts root= and runs init.
 * What goes wrong is said on the kernel's console; the exit of this program
 * is then the kernel's panic.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROOT		"/root"
#define BLANKS		"\n "
#define WAIT_TENTHS	300	/* a slow emulated disk probes for seconds */

static int kmsg = -1;

__attribute__((__format__(__printf__, 1, 2)))
static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (kmsg >= 0 && n > 0)
		(void)!write(kmsg, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* The value of a word of the boot line: `root=` gives what follows it. */
static const char *word(char *line, const char *name, const char *otherwise)
{
	static char values[8][256];
	static unsigned int used;
	char copy[4096], *rest = copy, *token;
	const char *found = otherwise;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((token = strsep(&rest, BLANKS)) != NULL)
		if (strncmp(token, name, strlen(name)) == 0 && used < 8) {
			snprintf(values[used], sizeof(values[used]), "%s", token + strlen(name));
			found = values[used++];
		}
	return found;
}

static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		say("<3>initrd: %s: %s\n", path, strerror(errno));
		return;
	}
	/*
	 * A driver for hardware that is not there says ENODEV; whether anything
	 * is missing shows when root= is mounted.
	 */
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV)
		say("<4>initrd: %s: %s\n", path, strerror(errno));
	close(fd);
	unlink(path); /* its memory is the guest's */
}

static void load_all(void)
{
	FILE *list = fopen("/modules", "re");
	char path[512];

	if (!list)
		return;
	while (fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = '\0';
		if (*path)
			load(path);
	}
	fclose(list);
}

static int mount_root(const char *device, const char *type, unsigned long flags)
{
	const struct timespec tenth = { .tv_nsec = 100 * 1000 * 1000 };
	int tries;

	for (tries = 0; tries < WAIT_TENTHS; tries++) {
		if (mount(device, ROOT, type, flags, NULL) == 0)
			return 0;
		if (errno != ENOENT && errno != ENXIO && errno != ENODEV)
			break;
		nanosleep(&tenth, NULL);
	}
	return -1;
}

int main(int argc, char **argv)
{
	char line[4096] = "";
	const char *device, *type, *init;
	unsigned long flags;
	ssize_t n;
	int fd;

	(void)argc;
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir(ROOT, 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (n < 0)
		say("<3>initrd: /proc/cmdline: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	load_all();

	device = word(line, "root=", "/dev/vda");
	type = word(line, "rootfstype=", "ext4");
	init = word(line, "init=", "/sbin/init");
	flags = strstr(line, " rw") ? 0 : MS_RDONLY;
	if (mount_root(device, type, flags) < 0) {
		say("<2>initrd: VFS: Unable to mount root fs %s of type %s: %s\n",
		    device, type, strerror(errno));
		return 1;
	}
	umount("/proc");
	if (mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL) < 0)
		say("<4>initrd: /dev: %s\n", strerror(errno));
	unlink("/modules");
	unlink("/init");
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0) {
		say("<2>initrd: no way into the root file system: %s\n", strerror(errno));
		return 1;
	}
	/* nothing of ours is open in systemd: the console is the kernel's */
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2)
			close(fd);
	}
	argv[0] = (char *)init;
	execv(init, argv);
	say("<2>initrd: %s: %s\n", init, strerror(errno));
	return 1;
}
