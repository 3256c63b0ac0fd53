// SPDX-License-Identifier: GPL-2.0
/* Calls on everything but the bus: descriptors of all kinds, mappings, processes, mounts. */
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int fd_of(uint32_t slot)
{
	return atomic_load(&session.slot[slot % SLOTS].fd);
}

static void set_fd(uint32_t slot, int fd)
{
	int old = atomic_exchange(&session.slot[slot % SLOTS].fd, fd);

	if (old >= 0)
		close(old);
}

static long keep(uint32_t slot, int fd)
{
	if (fd < 0)
		return -errno;
	set_fd(slot, fd);
	return fd;
}

static long value(long result)
{
	return result < 0 ? -errno : result;
}

static const char *path_of(const struct call *call, char *path, size_t room)
{
	snprintf(path, room, "%s/%.*s", MOUNT_POINT, (int)strnlen((const char *)call->data, call->bytes), (const char *)call->data);
	return path;
}

static int sealed_memfd(uint32_t seals)
{
	int fd = (int)syscall(SYS_memfd_create, "fuzz", 2u);

	if (fd >= 0 && (ftruncate(fd, 8192) < 0 || pwrite(fd, "sealed", 6, 0) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Equal for all rings of this size. */
static struct io_sqring_offsets ring_offsets;

static int make_ring(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 4u, &params);

	if (fd >= 0)
		ring_offsets = params.sq_off;
	return fd;
}

static int userfault(void)
{
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
}

static long make_fd(const struct call *call)
{
	static const int socket_types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	uint32_t slot = call->arg[0], detail = call->arg[2];
	sigset_t signals;
	int two[2], fd;

	sigemptyset(&signals);
	switch (call->arg[1] % FD_KIND_COUNT) {
	case FD_PIPE:
	case FD_SOCKET:
		if (call->arg[1] % FD_KIND_COUNT == FD_PIPE ? pipe2(two, O_NONBLOCK) : socketpair(AF_UNIX, socket_types[detail % 3] | SOCK_NONBLOCK, 0, two))
			return -errno;
		set_fd(slot + 1, two[1]);
		return keep(slot, two[0]);
	case FD_MEMFD:
		fd = (int)syscall(SYS_memfd_create, "fuzz", 2u);
		if (fd >= 0 && ftruncate(fd, 4096 * (off_t)(detail % 4)) < 0)
			return -errno;
		return keep(slot, fd);
	case FD_MEMFD_SEALED:
		return keep(slot, sealed_memfd(detail % 4 == 0 ? F_SEAL_WRITE : F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | (detail & 1 ? F_SEAL_SEAL : 0)));
	case FD_EVENT:
		return keep(slot, eventfd(detail, EFD_NONBLOCK));
	case FD_EPOLL:
		return keep(slot, epoll_create1(0));
	case FD_PATH:
		return keep(slot, open(detail & 1 ? MOUNT_POINT "/control" : "/dev/null", O_PATH));
	case FD_URING:
		return keep(slot, make_ring());
	case FD_TIMER:
		return keep(slot, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	case FD_SIGNAL:
		return keep(slot, signalfd(-1, &signals, SFD_NONBLOCK));
	case FD_NULL:
		return keep(slot, open("/dev/null", O_RDWR));
	case FD_DIR:
		return keep(slot, open(MOUNT_POINT, O_RDONLY | O_DIRECTORY));
	case FD_PROC_MEM:
		return keep(slot, open("/proc/self/mem", O_RDWR));
	case FD_INOTIFY:
		fd = inotify_init1(IN_NONBLOCK);
		if (fd >= 0)
			inotify_add_watch(fd, MOUNT_POINT, IN_ALL_EVENTS);
		return keep(slot, fd);
	case FD_PIDFD:
		return keep(slot, (int)syscall(SYS_pidfd_open, getpid(), 0));
	case FD_USERFAULT:
		return keep(slot, userfault());
	default:
		return keep(slot, open("/proc/self/exe", O_RDONLY));
	}
}

static long scm(const struct call *call)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fd = fd_of(call->arg[1]);

	if (call->arg[2] % 4 == 3) {
		if (recvmsg(fd_of(call->arg[0]), &msg, MSG_DONTWAIT) < 0)
			return -errno;
		head = CMSG_FIRSTHDR(&msg);
		if (head && head->cmsg_type == SCM_RIGHTS) {
			memcpy(&fd, CMSG_DATA(head), sizeof(fd));
			set_fd(call->arg[1], fd);
		}
		return 0;
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return value(sendmsg(fd_of(call->arg[0]), &msg, MSG_DONTWAIT));
}

/* One entry put into the ring by hand and submitted; the answer is never read. */
static long ring(const struct call *call)
{
	static const uint8_t opcodes[] = { IORING_OP_POLL_ADD, IORING_OP_POLL_ADD, IORING_OP_READV, IORING_OP_FSYNC, IORING_OP_CLOSE };
	int fd = fd_of(call->arg[0]);
	struct io_uring_sqe *entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	uint32_t *rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	long result = -EBADF;

	if (entries != MAP_FAILED && rings != MAP_FAILED) {
		uint32_t *end = rings + ring_offsets.tail / 4;
		uint32_t tail = *end;

		memset(&entries[tail % 4], 0, sizeof(*entries));
		entries[tail % 4].opcode = RNG_PICK((&(struct rng){ call->arg[2] }), opcodes);
		entries[tail % 4].fd = fd_of(call->arg[1]);
		entries[tail % 4].poll32_events = POLLIN | POLLOUT;
		rings[ring_offsets.array / 4 + tail % 4] = tail % 4;
		__atomic_store_n(end, tail + 1, __ATOMIC_RELEASE);
		result = value(syscall(SYS_io_uring_enter, fd, 1u, 0u, 0u, NULL, 0ul));
	}
	if (entries != MAP_FAILED)
		munmap(entries, 4 * sizeof(*entries));
	if (rings != MAP_FAILED)
		munmap(rings, PAGE);
	return result;
}

static long memfd(const struct call *call)
{
	int fd = fd_of(call->arg[0]);

	switch (call->arg[1] % 6) {
	case 0:
		return value(ftruncate(fd, call->arg[2]));
	case 1:
		return value(pwrite(fd, "written", 7, call->arg[2]));
	case 2:
		return value(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	case 3:
		return value(fcntl(fd, F_ADD_SEALS, (int)(call->arg[2] % 32)));
	case 4:
		return value(fcntl(fd, F_GET_SEALS));
	default:
		return value(lseek(fd, call->arg[2], SEEK_SET));
	}
}

static long map_pool(const struct call *call)
{
	static const int protections[] = { PROT_READ, PROT_READ, PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC };
	struct slot *slot = &session.slot[call->arg[0] % SLOTS];
	uint32_t how = call->arg[3] % 16;
	size_t bytes = PAGE * (call->arg[1] ? call->arg[1] % 300 : 1);
	void *at = mmap(NULL, bytes, protections[call->arg[2] % 6], how & 1 ? MAP_PRIVATE : MAP_SHARED, atomic_load(&slot->fd), how < 12 ? 0 : (off_t)(PAGE * (how - 11)));

	if (at == MAP_FAILED)
		return -errno;
	slot->map_bytes = bytes;
	slot->map = at;
	return 0;
}

static long touch(const struct call *call)
{
	const struct slot *slot = &session.slot[call->arg[0] % SLOTS];
	int null = open("/dev/null", O_RDWR);
	long result = value(write(null, slot->map, PAGE)); /* the kernel reads: no signal when it is gone */
	int zero = open("/proc/self/mem", O_RDWR);

	if (slot->map && call->arg[1] & 1)
		pwrite(zero, "x", 1, (off_t)(uintptr_t)slot->map);
	close(zero);
	close(null);
	return result;
}

static long make_child(const struct call *call)
{
	int fd = fd_of(call->arg[1]);
	char *argv[] = { "true", NULL };
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
		execv("/bin/true", argv);
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

static long node(const struct call *call)
{
	char path[256], other[256];
	struct stat st;
	DIR *dir;
	int fd;

	path_of(call, path, sizeof(path));
	snprintf(other, sizeof(other), "%s/0-f1", MOUNT_POINT);
	switch (call->arg[0] % 14) {
	case 0:
		return value(stat(path, &st));
	case 1:
		return value(chmod(path, call->arg[1] & 0777));
	case 2:
		return value(chown(path, call->arg[1] % 2 ? 1000 : 0, 0));
	case 3:
		return value(unlink(path));
	case 4:
		return value(mkdir(other, 0755));
	case 5:
		return value(rename(path, other));
	case 6:
		dir = opendir(MOUNT_POINT);
		while (dir && readdir(dir))
			;
		return dir ? closedir(dir) : -errno;
	case 7:
		return value(access(path, (int)(call->arg[1] % 8)));
	case 8:
		return value(utimensat(AT_FDCWD, path, NULL, 0));
	case 9:
		return value(setxattr(path, "user.fuzz", "x", 1, 0));
	case 10:
		return value(link(path, other));
	case 11:
		return value(truncate(path, 0));
	case 12:
		return value(getxattr(path, "security.selinux", path, sizeof(path)));
	default:
		fd = open(path, (int)(O_TMPFILE | O_RDWR), 0600);
		return fd < 0 ? -errno : close(fd);
	}
}

/* In a mount namespace of this thread: the machine's own mount stays. */
static long mounts(const struct call *call)
{
	static _Thread_local bool apart;

	if (!apart) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			return -errno;
		apart = true;
	}
	switch (call->arg[0] % 6) {
	case 0:
		return value(mount("kdbus", MOUNT_POINT, "kdbusfs", 0, NULL));
	case 1:
		return value(umount2(MOUNT_POINT, MNT_DETACH));
	case 2:
		return value(syscall(SYS_delete_module, "kdbus", O_NONBLOCK));
	case 3:
		return value(mount("kdbus", MOUNT_POINT, "kdbusfs", 0, "odd=1"));
	case 4:
		return value(mount(NULL, MOUNT_POINT, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	default:
		return value(umount2(MOUNT_POINT, 0));
	}
}

static long look(const struct call *call)
{
	int fd = fd_of(call->arg[0]), file;
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
		return value(fstat(fd, &st));
	case 2:
		return value(fcntl(fd, F_SETFL, call->arg[2] & 1 ? O_NONBLOCK | O_ASYNC : 0));
	case 3:
		return value(read(fd, text, sizeof(text)));
	default:
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		return keep(call->arg[2], open(path, O_RDWR | O_NONBLOCK));
	}
}

static long change(const struct call *call)
{
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };
	static const int advices[] = { MADV_DONTNEED, MADV_WILLNEED, MADV_DONTFORK, MADV_REMOVE, MADV_FREE, MADV_PAGEOUT, MADV_COLD, MADV_MERGEABLE };
	struct slot *slot = &session.slot[call->arg[0] % SLOTS];
	size_t first = call->arg[1] % 4 * PAGE;

	if (!slot->map)
		return -EINVAL;
	switch (call->op) {
	case OP_MUNMAP:
		return value(munmap(slot->map + (first < slot->map_bytes ? first : 0), call->arg[2] & 1 ? slot->map_bytes : PAGE));
	case OP_MPROTECT:
		return value(mprotect(slot->map, slot->map_bytes, protections[call->arg[1] % 4]));
	default:
		return value(madvise(slot->map, slot->map_bytes, advices[call->arg[1] % 8]));
	}
}

long descriptor_execute(const struct call *call)
{
	static const int flags[] = { O_RDWR | O_CLOEXEC, O_RDWR, O_RDWR | O_NONBLOCK, O_RDONLY, O_PATH, O_WRONLY };
	static const uint32_t uids[] = { 1000, 1001, 0, 65534 };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | (call->arg[3] & 1 ? EPOLLET : 0) };
	struct pollfd poller = { .fd = fd_of(call->arg[0]), .events = POLLIN | POLLOUT };
	char path[256];
	uint32_t uid;
	int fd;

	switch (call->op) {
	case OP_OPEN:
		return keep(call->arg[0], open(path_of(call, path, sizeof(path)), flags[call->arg[1] < 10 ? 0 : call->arg[1] % 6]));
	case OP_CLOSE:
		fd = atomic_exchange(&session.slot[call->arg[0] % SLOTS].fd, -1);
		return value(close(fd));
	case OP_DUP:
		return keep(call->arg[1], dup(fd_of(call->arg[0])));
	case OP_MMAP:
		return map_pool(call);
	case OP_MUNMAP:
	case OP_MPROTECT:
	case OP_MADVISE:
		return change(call);
	case OP_TOUCH:
		return touch(call);
	case OP_POLL:
		return value(poll(&poller, 1, (int)(call->arg[1] % 4)));
	case OP_MAKEFD:
		return make_fd(call);
	case OP_SCM:
		return scm(call);
	case OP_EPOLL:
		if (call->arg[2] % 4 == 3)
			return value(epoll_wait(fd_of(call->arg[0]), &event, 1, 1));
		return value(epoll_ctl(fd_of(call->arg[0]), call->arg[2] % 4 ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd_of(call->arg[1]), &event));
	case OP_URING:
		return ring(call);
	case OP_MEMFD:
		return memfd(call);
	case OP_FORK:
		return make_child(call);
	case OP_KILL:
		fd = atomic_load(&session.child);
		return fd > 1 ? value(kill(fd, SIGKILL)) : -ESRCH;
	case OP_SETID:
		uid = uids[call->arg[0] % 4];
		return value(syscall(SYS_setresuid, uid, uid, call->arg[1] & 1 ? uid : ~0u));
	case OP_NODE:
		return node(call);
	case OP_MOUNT:
		return mounts(call);
	case OP_SLEEP:
		return value(usleep(call->arg[0] % 5000));
	case OP_PROC:
		return look(call);
	case OP_UNMAP_DATA:
		memory_forget((uint16_t)(call->arg[0] % MAX_CALLS), call->arg[1]);
		return 0;
	}
	return 0;
}
