// SPDX-License-Identifier: GPL-2.0
/* Calls on what surrounds descriptors: processes, files of the bus, mounts, /proc. */
#include "slots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

const char *slot_path(const struct call *call, char *path, size_t room)
{
	snprintf(path, room, "%s/%.*s", MOUNT_POINT, (int)strnlen((const char *)call->data, call->bytes),
		 (const char *)call->data);
	return path;
}

long child_execute(const struct call *call)
{
	int fd = slot_fd(call->arg[1]);
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		atomic_store(&session.child, pid);
		return pid;
	}
	switch (call->arg[0] % 6) {
	case 1:
		close(fd);
		break;
	case 2:
		usleep(5000);
		break;
	case 3:
		execl("/bin/true", "true", NULL);
		break;
	case 4:
		for (int i = 0; i < 20; i++)
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1);
		break;
	case 5:
		pause();
		break;
	}
	_exit(0);
}

long node_execute(const struct call *call)
{
	char path[256], other[256];
	struct stat st;
	DIR *dir;
	int fd;

	slot_path(call, path, sizeof(path));
	snprintf(other, sizeof(other), "%s/0-f1", MOUNT_POINT);
	switch (call->arg[0] % 14) {
	case 0:
		return result_of(stat(path, &st));
	case 1:
		return result_of(chmod(path, call->arg[1] & 0777));
	case 2:
		return result_of(chown(path, call->arg[1] % 2 ? 1000 : 0, 0));
	case 3:
		return result_of(unlink(path));
	case 4:
		return result_of(mkdir(other, 0755));
	case 5:
		return result_of(rename(path, other));
	case 6:
		dir = opendir(MOUNT_POINT);
		while (dir && readdir(dir))
			;
		return dir ? closedir(dir) : -errno;
	case 7:
		return result_of(access(path, (int)(call->arg[1] % 8)));
	case 8:
		return result_of(utimensat(AT_FDCWD, path, NULL, 0));
	case 9:
		return result_of(setxattr(path, "user.fuzz", "x", 1, 0));
	case 10:
		return result_of(link(path, other));
	case 11:
		return result_of(truncate(path, 0));
	case 12:
		return result_of(getxattr(path, "security.selinux", path, sizeof(path)));
	default:
		fd = open(path, (int)(O_TMPFILE | O_RDWR), 0600);
		return fd < 0 ? -errno : close(fd);
	}
}

/* In a mount namespace of this thread: the machine's own mount stays. */
long mount_execute(const struct call *call)
{
	static __thread bool apart;

	if (!apart) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			return -errno;
		apart = true;
	}
	switch (call->arg[0] % 6) {
	case 0:
		return result_of(mount("kdbus", MOUNT_POINT, "kdbusfs", 0, NULL));
	case 1:
		return result_of(umount2(MOUNT_POINT, MNT_DETACH));
	case 2:
		return result_of(syscall(SYS_delete_module, "kdbus", O_NONBLOCK));
	case 3:
		return result_of(mount("kdbus", MOUNT_POINT, "kdbusfs", 0, "odd=1"));
	case 4:
		return result_of(mount(NULL, MOUNT_POINT, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	default:
		return result_of(umount2(MOUNT_POINT, 0));
	}
}

long look_execute(const struct call *call)
{
	int fd = slot_fd(call->arg[0]), file;
	char path[64], text[512];
	struct stat st;

	switch (call->arg[1] % 5) {
	case 0:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		file = open(path, O_RDONLY);
		if (file < 0)
			return -errno;
		read(file, text, sizeof(text));
		return close(file);
	case 1:
		return result_of(fstat(fd, &st));
	case 2:
		return result_of(fcntl(fd, F_SETFL, call->arg[2] & 1 ? O_NONBLOCK | O_ASYNC : 0));
	case 3:
		return result_of(read(fd, text, sizeof(text)));
	default:
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		return slot_keep(call->arg[2], open(path, O_RDWR | O_NONBLOCK));
	}
}
