// SPDX-License-Identifier: GPL-2.0
/* Calls on everything but the bus: descriptors of all kinds, mappings, processes, mounts. */
#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
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
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int slot_fd(uint32_t slot)
{
	return atomic_load(&session.slot[slot % SLOTS].fd);
}

void slot_set(uint32_t slot, int fd)
{
	int old = atomic_exchange(&session.slot[slot % SLOTS].fd, fd);

	if (old >= 0)
		close(old);
}

long slot_keep(uint32_t slot, int fd)
{
	if (fd < 0)
		return -errno;
	slot_set(slot, fd);
	return fd;
}

long result_of(long result)
{
	return result < 0 ? -errno : result;
}

static int sealed_memfd(uint32_t seals)
{
	int fd = (int)syscall(SYS_memfd_create, "fuzz", 2u);

	if (fd >= 0 && (ftruncate(fd, 8192) < 0 || pwrite(fd, "sealed", 6, 0) < 0 || fcntl(fd, F_ADD_SEALS,
											   seals) < 0)) {
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
		if (call->arg[1] % FD_KIND_COUNT == FD_PIPE ?
		    pipe2(two, O_NONBLOCK) :
		    socketpair(AF_UNIX, socket_types[detail % 3] | SOCK_NONBLOCK, 0, two))
			return -errno;
		slot_set(slot + 1, two[1]);
		return slot_keep(slot, two[0]);
	case FD_MEMFD:
		fd = (int)syscall(SYS_memfd_create, "fuzz", 2u);
		if (fd >= 0 && ftruncate(fd, 4096 * (off_t)(detail % 4)) < 0)
			return -errno;
		return slot_keep(slot, fd);
	case FD_MEMFD_SEALED:
		return slot_keep(slot, sealed_memfd(detail % 4 == 0 ? F_SEAL_WRITE :
					       F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | (detail & 1 ? F_SEAL_SEAL :
											     0)));
	case FD_EVENT:
		return slot_keep(slot, eventfd(detail, EFD_NONBLOCK));
	case FD_EPOLL:
		return slot_keep(slot, epoll_create1(0));
	case FD_PATH:
		return slot_keep(slot, open(detail & 1 ? MOUNT_POINT "/control" : "/dev/null", O_PATH));
	case FD_URING:
		return slot_keep(slot, make_ring());
	case FD_TIMER:
		return slot_keep(slot, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	case FD_SIGNAL:
		return slot_keep(slot, signalfd(-1, &signals, SFD_NONBLOCK));
	case FD_NULL:
		return slot_keep(slot, open("/dev/null", O_RDWR));
	case FD_DIR:
		return slot_keep(slot, open(MOUNT_POINT, O_RDONLY | O_DIRECTORY));
	case FD_PROC_MEM:
		return slot_keep(slot, open("/proc/self/mem", O_RDWR));
	case FD_INOTIFY:
		fd = inotify_init1(IN_NONBLOCK);
		if (fd >= 0)
			inotify_add_watch(fd, MOUNT_POINT, IN_ALL_EVENTS);
		return slot_keep(slot, fd);
	case FD_PIDFD:
		return slot_keep(slot, (int)syscall(SYS_pidfd_open, getpid(), 0));
	case FD_USERFAULT:
		return slot_keep(slot, userfault());
	default:
		return slot_keep(slot, open("/proc/self/exe", O_RDONLY));
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
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fd = slot_fd(call->arg[1]);

	if (call->arg[2] % 4 == 3) {
		if (recvmsg(slot_fd(call->arg[0]), &msg, MSG_DONTWAIT) < 0)
			return -errno;
		head = CMSG_FIRSTHDR(&msg);
		if (head && head->cmsg_type == SCM_RIGHTS) {
			memcpy(&fd, CMSG_DATA(head), sizeof(fd));
			slot_set(call->arg[1], fd);
		}
		return 0;
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return result_of(sendmsg(slot_fd(call->arg[0]), &msg, MSG_DONTWAIT));
}

/* One entry put into the ring by hand and submitted; the answer is never read. */
static long ring(const struct call *call)
{
	static const uint8_t opcodes[] = { IORING_OP_POLL_ADD, IORING_OP_POLL_ADD, IORING_OP_READV, IORING_OP_FSYNC,
		IORING_OP_CLOSE };
	int fd = slot_fd(call->arg[0]);
	struct io_uring_sqe *entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
					    IORING_OFF_SQES);
	uint32_t *rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	long result = -EBADF;

	if (entries != MAP_FAILED && rings != MAP_FAILED) {
		uint32_t *end = rings + ring_offsets.tail / 4;
		uint32_t tail = *end;

		memset(&entries[tail % 4], 0, sizeof(*entries));
		entries[tail % 4].opcode = RNG_PICK((&(struct rng){ call->arg[2] }), opcodes);
		entries[tail % 4].fd = slot_fd(call->arg[1]);
		entries[tail % 4].poll32_events = POLLIN | POLLOUT;
		rings[ring_offsets.array / 4 + tail % 4] = tail % 4;
		__atomic_store_n(end, tail + 1, __ATOMIC_RELEASE);
		result = result_of(syscall(SYS_io_uring_enter, fd, 1u, 0u, 0u, NULL, 0ul));
	}
	if (entries != MAP_FAILED)
		munmap(entries, 4 * sizeof(*entries));
	if (rings != MAP_FAILED)
		munmap(rings, PAGE);
	return result;
}

static long memfd(const struct call *call)
{
	int fd = slot_fd(call->arg[0]);

	switch (call->arg[1] % 6) {
	case 0:
		return result_of(ftruncate(fd, call->arg[2]));
	case 1:
		return result_of(pwrite(fd, "written", 7, call->arg[2]));
	case 2:
		return result_of(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	case 3:
		return result_of(fcntl(fd, F_ADD_SEALS, (int)(call->arg[2] % 32)));
	case 4:
		return result_of(fcntl(fd, F_GET_SEALS));
	default:
		return result_of(lseek(fd, call->arg[2], SEEK_SET));
	}
}

static long map_pool(const struct call *call)
{
	static const int protections[] = { PROT_READ, PROT_READ, PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE,
		PROT_READ | PROT_EXEC };
	struct slot *slot = &session.slot[call->arg[0] % SLOTS];
	uint32_t how = call->arg[3] % 16;
	size_t bytes = PAGE * (call->arg[1] ? call->arg[1] % 300 : 1);
	void *at = mmap(NULL, bytes, protections[call->arg[2] % 6], how & 1 ? MAP_PRIVATE : MAP_SHARED,
			atomic_load(&slot->fd), how < 12 ? 0 : (off_t)(PAGE * (how - 11)));

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
	long result = result_of(write(null, slot->map, PAGE)); /* the kernel reads: no signal when it is gone */
	int zero = open("/proc/self/mem", O_RDWR);

	if (slot->map && call->arg[1] & 1)
		pwrite(zero, "x", 1, (off_t)(uintptr_t)slot->map);
	close(zero);
	close(null);
	return result;
}

static long change(const struct call *call)
{
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };
	static const int advices[] = { MADV_DONTNEED, MADV_WILLNEED, MADV_DONTFORK, MADV_REMOVE, MADV_FREE,
		MADV_PAGEOUT, MADV_COLD, MADV_MERGEABLE };
	struct slot *slot = &session.slot[call->arg[0] % SLOTS];
	size_t first = call->arg[1] % 4 * PAGE;

	if (!slot->map)
		return -EINVAL;
	switch (call->op) {
	case OP_MUNMAP:
		return result_of(munmap(slot->map + (first < slot->map_bytes ? first : 0), call->arg[2] & 1 ?
				    slot->map_bytes : PAGE));
	case OP_MPROTECT:
		return result_of(mprotect(slot->map, slot->map_bytes, protections[call->arg[1] % 4]));
	default:
		return result_of(madvise(slot->map, slot->map_bytes, advices[call->arg[1] % 8]));
	}
}

long descriptor_execute(const struct call *call)
{
	static const int flags[] = { O_RDWR | O_CLOEXEC, O_RDWR, O_RDWR | O_NONBLOCK, O_RDONLY, O_PATH, O_WRONLY };
	static const uint32_t uids[] = { 1000, 1001, 0, 65534 };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | (call->arg[3] & 1 ? EPOLLET : 0) };
	struct pollfd poller = { .fd = slot_fd(call->arg[0]), .events = POLLIN | POLLOUT };
	char path[256];
	uint32_t uid;
	int fd;

	switch (call->op) {
	case OP_OPEN:
		return slot_keep(call->arg[0], open(slot_path(call, path, sizeof(path)), flags[call->arg[1] < 10 ? 0 :
					       call->arg[1] % 6]));
	case OP_CLOSE:
		fd = atomic_exchange(&session.slot[call->arg[0] % SLOTS].fd, -1);
		return result_of(close(fd));
	case OP_DUP:
		session.slot[call->arg[1] % SLOTS].id = session.slot[call->arg[0] % SLOTS].id;
		return slot_keep(call->arg[1], dup(slot_fd(call->arg[0])));
	case OP_MMAP:
		return map_pool(call);
	case OP_MUNMAP:
	case OP_MPROTECT:
	case OP_MADVISE:
		return change(call);
	case OP_TOUCH:
		return touch(call);
	case OP_POLL:
		return result_of(poll(&poller, 1, (int)(call->arg[1] % 4)));
	case OP_MAKEFD:
		return make_fd(call);
	case OP_SCM:
		return scm(call);
	case OP_EPOLL:
		if (call->arg[2] % 4 == 3)
			return result_of(epoll_wait(slot_fd(call->arg[0]), &event, 1, 1));
		return result_of(epoll_ctl(slot_fd(call->arg[0]), call->arg[2] % 4 ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
				       slot_fd(call->arg[1]), &event));
	case OP_URING:
		return ring(call);
	case OP_MEMFD:
		return memfd(call);
	case OP_FORK:
		return child_execute(call);
	case OP_KILL:
		fd = atomic_load(&session.child);
		return fd > 1 ? result_of(kill(fd, SIGKILL)) : -ESRCH;
	case OP_SETID:
		uid = uids[call->arg[0] % 4];
		return result_of(syscall(SYS_setresuid, uid, uid, call->arg[1] & 1 ? uid : ~0u));
	case OP_NODE:
		return node_execute(call);
	case OP_MOUNT:
		return mount_execute(call);
	case OP_SLEEP:
		return result_of(usleep(call->arg[0] % 5000));
	case OP_PROC:
		return look_execute(call);
	case OP_UNMAP_DATA:
		memory_forget((uint16_t)(call->arg[0] % MAX_CALLS), call->arg[1]);
		return 0;
	}
	return 0;
}
