// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "peer_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "arena.h"
#include "peer_wire.h"
#include "spawn.h"

/*
 * DOC: making a peer
 *
 * Stage one, still with the rights of whoever forked: descriptors, cgroup,
 * limits, namespaces, root. Then perhaps exec. Stage two, in the final image:
 * label, ids, capabilities. The first failure is told and ends the child.
 */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x00000080
#endif

#define CTL_FD		1000	/* out of the way of the numbers a test looks at */
#define ARENA_FD	1001

pid_t (*spawn_lookup)(uint32_t id);

static int ctl = -1;

void die(const char *format, ...)
{
	int err = errno;
	char what[256], text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(text, sizeof(text), "%s: %s", what, strerror(err));
	peer_tell(ctl, PM_FAILED, 0, err ? err : EIO, text, strlen(text), -1);
	_exit(1);
}

bool option(const uint8_t *options, size_t len, uint32_t tag, int nth, struct reader *value)
{
	struct reader r = reader_of(options, len);

	while (r.left && !r.bad) {
		uint32_t t = read_u32(&r), n = read_u32(&r);
		const uint8_t *p = read_bytes(&r, n);

		if (!p || t != tag || nth--)
			continue;
		*value = reader_of(p, n);
		return true;
	}
	return false;
}

static void write_text(const char *path, const void *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		die("write %s", path);
	close(fd);
}

static void join_cgroup(const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%.300s/cgroup.procs", name);
	if (make_parents(path) < 0)
		die("mkdir for %s", path);
	write_text(path, "0", 1);
}

static int move_fd(int fd, int to)
{
	int moved = fd == to ? fd : dup3(fd, to, O_CLOEXEC);

	if (moved < 0) /* a low limit of descriptors: anywhere will do */
		return fd;
	if (moved != fd)
		close(fd);
	return moved;
}

static void tidy_descriptors(bool inherit)
{
	int null;

	if (inherit) { /* the parent's control socket was closed: its place is free */
		ctl = move_fd(ctl, CTL_FD);
		return;
	}
	ctl = move_fd(ctl, CTL_FD);
	arena_fd = move_fd(arena_fd, ARENA_FD);
	if (ctl == CTL_FD && arena_fd == ARENA_FD) {
		syscall(SYS_close_range, 3u, CTL_FD - 1u, 0);
		syscall(SYS_close_range, ARENA_FD + 1u, ~0u, 0);
	}
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		if (null >= 0 && null != fd)
			dup2(null, fd);
	if (null > 2)
		close(null);
}

static void limits(const uint8_t *options, size_t len)
{
	struct reader r;

	if (OPTION(SP_CGROUP))
		join_cgroup(read_str(&r));
	for (int i = 0; option(options, len, SP_RLIMIT, i, &r); i++) {
		int which = (int)read_u32(&r);
		struct rlimit64 limit = { .rlim_cur = read_u64(&r), .rlim_max = read_u64(&r) };

		if (syscall(SYS_prlimit64, 0, which, &limit, NULL) < 0)
			die("limit %d", which);
	}
	if (OPTION(SP_NICE) && setpriority(PRIO_PROCESS, 0, (int)read_u32(&r)) < 0)
		die("nice");
	if (OPTION(SP_AFFINITY)) {
		uint64_t mask = read_u64(&r);

		if (syscall(SYS_sched_setaffinity, 0, sizeof(mask), &mask) < 0)
			die("affinity");
	}
	if (OPTION(SP_OOM_SCORE_ADJ)) {
		char text[16];
		int n = snprintf(text, sizeof(text), "%d", (int)read_u32(&r));

		write_text("/proc/self/oom_score_adj", text, (size_t)n);
	}
	if (OPTION(SP_LOGINUID)) {
		char text[16];
		int n = snprintf(text, sizeof(text), "%u", read_u32(&r));

		write_text("/proc/self/loginuid", text, (size_t)n);
	}
	if (OPTION(SP_SETSID) && setsid() < 0)
		die("setsid");
}

static void wait_for_maps(void)
{
	struct peer_msg msg;
	struct buf payload = { 0 };
	int fd;

	if (peer_tell(ctl, PM_WANT_MAPS, 0, 0, NULL, 0, -1) < 0 ||
	    !peer_hear(ctl, &msg, &payload, &fd))
		_exit(1);
	errno = (int)msg.value;
	if (msg.value)
		die("writing the id maps");
}

/* Leaves the caller in the new namespaces; those of pid and time need one more fork. */
static void make_namespaces(const uint8_t *options, size_t len, bool must_fork)
{
	struct reader r;
	uint64_t flags = OPTION(SP_NAMESPACES) ? read_u64(&r) : 0, joined = 0;
	int self;
	pid_t pid;

	for (int i = 0; option(options, len, SP_JOIN, i, &r); i++) {
		uint32_t id = read_u32(&r);
		uint64_t which = read_u64(&r);
		pid_t other = spawn_lookup ? spawn_lookup(id) : 0;
		int fd = other ? (int)syscall(SYS_pidfd_open, other, 0) : -1;

		if (!other)
			errno = ESRCH;
		if (fd < 0 || setns(fd, (int)which) < 0)
			die("joining namespaces %#llx of peer %u", (unsigned long long)which, id);
		close(fd);
		joined |= which;
	}
	if (flags & CLONE_NEWUSER) {
		if (unshare(CLONE_NEWUSER) < 0)
			die("new user namespace");
		wait_for_maps();
	}
	if (flags & ~(uint64_t)CLONE_NEWUSER && unshare((int)(flags & ~(uint64_t)CLONE_NEWUSER)) < 0)
		die("new namespaces %#llx", (unsigned long long)flags);
	if (OPTION(SP_TIME_OFFSETS))
		write_text("/proc/self/timens_offsets", r.at, r.left);
	if (flags & CLONE_NEWNS && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("making / private");
	if (!must_fork && !((flags | joined) & (CLONE_NEWPID | CLONE_NEWTIME)))
		return;
	self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid = fork();
	if (self < 0 || pid < 0)
		die("fork");
	if (pid)
		_exit(0);
	/* not before the supervisor is our parent: a death signal asked for earlier would come now */
	while (poll(&(struct pollfd){ .fd = self, .events = POLLIN }, 1, -1) < 0 && errno == EINTR)
		;
	close(self);
}

static void place(const uint8_t *options, size_t len)
{
	struct reader r;
	const char *path;

	if (OPTION(SP_HOSTNAME)) {
		path = read_str(&r);
		if (sethostname(path, strlen(path)) < 0)
			die("host name %s", path);
	}
	if (OPTION(SP_MOUNT_PROC) && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die("mount /proc");
	if (OPTION(SP_CHROOT)) {
		path = read_str(&r);
		if (chroot(path) < 0 || chdir("/") < 0)
			die("chroot %s", path);
	}
	if (OPTION(SP_CWD)) {
		path = read_str(&r);
		if (chdir(path) < 0)
			die("chdir %s", path);
	}
	if (OPTION(SP_UMASK))
		umask((mode_t)read_u32(&r));
}

__attribute__((__noreturn__))
static void stage_two(const uint8_t *options, size_t len)
{
	struct reader r;
	int label_fds[MAX_LABELS];
	bool caps;

	for (int i = 0; i < MAX_LABELS; i++)
		label_fds[i] = -1;
	caps = OPTION(SP_CAPS);
	write_labels(options, len, 0, label_fds);
	if (caps) {
		bound_capabilities(r);
		prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	}
	if (OPTION(SP_SECUREBITS) && prctl(PR_SET_SECUREBITS, (unsigned long)read_u32(&r), 0, 0, 0) < 0)
		die("securebits");
	set_ids(options, len);
	if (OPTION(SP_CAPS))
		set_capabilities(&r);
	if (caps)
		prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	/* ids that change make a process undumpable: its /proc files would be root's */
	prctl(PR_SET_DUMPABLE, OPTION(SP_DUMPABLE) ? (unsigned long)read_u32(&r) : 1ul, 0, 0, 0);
	write_labels(options, len, 1, label_fds);
	if (OPTION(SP_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	if (OPTION(SP_COMM))
		prctl(PR_SET_NAME, read_str(&r), 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	peer_loop(ctl);
}

/* Another image (a 32-bit agent, a label that needs exec) goes on in peer_continue(). */
static void change_image(int exe, const uint8_t *options, size_t len)
{
	char ctl_text[16], options_text[16], arena_text[16];
	char *const argv[] = { "buslab-peer", "--peer", ctl_text, options_text, arena_text, NULL };
	char *const env[] = { NULL };
	int fd = memfd_create("buslab-options", 0);

	if (fd < 0 || write(fd, &peer_id, sizeof(peer_id)) < 0 || write(fd, options, len) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		die("memfd for the options");
	snprintf(ctl_text, sizeof(ctl_text), "%d", ctl);
	snprintf(options_text, sizeof(options_text), "%d", fd);
	snprintf(arena_text, sizeof(arena_text), "%d", arena_fd);
	fcntl(ctl, F_SETFD, 0);
	fcntl(arena_fd, F_SETFD, 0);
	syscall(SYS_execveat, exe, "", argv, env, AT_EMPTY_PATH);
	die("exec of the peer's image");
}

__attribute__((__noreturn__))
void peer_begin(int control, uint32_t id, const uint8_t *options, size_t len, bool inherit)
{
	struct reader r;
	int exe = -1;

	ctl = control;
	peer_id = id;
	if (inherit)
		spawn_lookup = NULL; /* the table of peers is a copy from long ago */
	child_signals();
	tidy_descriptors(inherit);
	limits(options, len);
	if (OPTION(SP_EXEC)) {
		const char *path = read_str(&r);

		exe = open(*path ? path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
		if (exe < 0)
			die("open %s", path);
	}
	make_namespaces(options, len, inherit);
	place(options, len);
	if (exe >= 0)
		change_image(exe, options, len);
	stage_two(options, len);
}

int peer_continue(int control, int options_fd, int arena_number)
{
	struct buf b = { 0 };
	ssize_t n;

	ctl = control;
	fcntl(ctl, F_SETFD, FD_CLOEXEC);
	fcntl(arena_number, F_SETFD, FD_CLOEXEC);
	do {
		buf_reserve(&b, 4096);
		n = read(options_fd, b.data + b.len, 4096);
		b.len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	close(options_fd);
	if (b.len < sizeof(peer_id) || arena_adopt(arena_number) < 0)
		die("going on after exec");
	memcpy(&peer_id, b.data, sizeof(peer_id));
	stage_two(b.data + sizeof(peer_id), b.len - sizeof(peer_id));
}
