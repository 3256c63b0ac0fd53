// SPDX-License-Identifier: GPL-2.0
/*
 * fork() leaves a process with one thread. Here all threads come along: each is
 * sent a signal, whose handler notes where it stands (setjmp); after the fork a
 * new thread with the same thread pointer jumps into each of these handlers, and
 * by returning from it goes on where the other was interrupted. So a QEMU whose
 * guest is stopped becomes two, and what it has translated, loaded and allocated
 * is there in both, copied on write.
 *
 * What is not memory: open files, which are shared after a fork; those that must
 * not be are replaced, see struct order. And thread ids: the C library keeps the
 * old ones in the fork, as names of the owners of mutexes that may be held just
 * now. It needs the true ones for pthread_kill and the like, which QEMU calls
 * under other accelerators than TCG only.
 */
#define _GNU_SOURCE
#include "fork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS	64
#define START_STACK	16384
/* the descriptor of a thread in the C library */
#define DESCRIPTOR_SIZE	2304
#define SMALL_PAGE	4096UL
#define HUGE_PAGE	(2UL << 20)
#define ANSWER_MS	10000
#define HOLD_MS		5000

#define HOLD_SIGNAL	(SIGRTMIN + 5)

/* A thread of this process other than the first. */
struct thread {
	pid_t tid;
	/* it stands in its handler since this turn */
	atomic_int turn;
	void *pointer;
	jmp_buf at;
	char stack[START_STACK];
};

struct answer {
	pid_t pid;
	char why[96];
};

static struct thread threads[MAX_THREADS];
static int n_threads;
/* Turns: the one that was asked for last, and the last one that is over. */
static atomic_int asked;
static atomic_int over;
/* changes with each thread that has come to its handler */
static atomic_int arrivals;

/* Where a descriptor of a thread has its id, which the kernel clears at its end. */
static size_t tid_offset;
static char *words;
static size_t words_size;

static pid_t own_tid(void)
{
	return syscall(SYS_gettid);
}

static int futex(atomic_int *word, int operation, int value, const struct timespec *limit)
{
	return syscall(SYS_futex, word, operation, value, limit, NULL, 0);
}

/* QEMU blocks all signals in its threads; this one has to come through. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t passed;

	if (set && how != SIG_UNBLOCK) {
		passed = *set;
		sigdelset(&passed, HOLD_SIGNAL);
		set = &passed;
	}
	return syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8) < 0 ? errno : 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	int error = pthread_sigmask(how, set, old);

	if (error)
		errno = error;
	return error ? -1 : 0;
}

static void hold(void)
{
	pid_t tid = own_tid();
	struct thread *self = NULL;
	int turn = atomic_load(&asked), last;

	for (int i = 0; i < n_threads && !self; i++)
		if (threads[i].tid == tid)
			self = &threads[i];
	if (!self)
		return;
	self->pointer = __builtin_thread_pointer();
	if (setjmp(self->at))
		return; /* in the fork */
	atomic_store(&self->turn, turn);
	atomic_fetch_add(&arrivals, 1);
	futex(&arrivals, FUTEX_WAKE_PRIVATE, 1, NULL);
	while ((last = atomic_load(&over)) < turn)
		futex(&over, FUTEX_WAIT_PRIVATE, last, NULL);
}

/* The threads beside the calling one; -1 where they are too many. */
static int list_threads(pid_t *tids)
{
	char buffer[4096];
	int dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long got;
	int n = 0;

	if (dir < 0)
		return -1;
	while ((got = syscall(SYS_getdents64, dir, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < got;) {
			struct dirent64 *entry = (struct dirent64 *)(buffer + at);
			pid_t tid = atoi(entry->d_name);

			at += entry->d_reclen;
			if (tid <= 0 || tid == own_tid())
				continue;
			if (n == MAX_THREADS) {
				n = -1;
				goto out;
			}
			tids[n++] = tid;
		}
	}
out:
	close(dir);
	return n;
}

static void let_go(void)
{
	atomic_store(&over, atomic_load(&asked));
	futex(&over, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL);
}

/* 1 when each thread stands in its handler, 0 while one does not, -1 when there are others. */
static int all_held(int turn)
{
	pid_t tids[MAX_THREADS];

	for (int i = 0; i < n_threads; i++) {
		if (atomic_load(&threads[i].turn) == turn)
			continue;
		return syscall(SYS_tgkill, getpid(), threads[i].tid, 0) < 0 ? -1 : 0;
	}
	return list_threads(tids) == n_threads ? 1 : -1;
}

static int hold_once(const struct timespec *start)
{
	pid_t tids[MAX_THREADS];
	int n = list_threads(tids), turn = atomic_fetch_add(&asked, 1) + 1, held;

	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++)
		threads[i].tid = tids[i];
	n_threads = n;
	for (int i = 0; i < n; i++)
		syscall(SYS_tgkill, getpid(), tids[i], HOLD_SIGNAL);
	for (;;) {
		const struct timespec limit = { .tv_nsec = 100000000 };
		int seen = atomic_load(&arrivals);
		struct timespec now;

		held = all_held(turn);
		if (held)
			return held;
		futex(&arrivals, FUTEX_WAIT_PRIVATE, seen, &limit);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - start->tv_sec) * 1000 > HOLD_MS)
			return 0;
	}
}

/*
 * Returns NULL when each thread stands in its handler. A thread may end or begin
 * meanwhile: those that read disks end when they have had nothing to do.
 */
static const char *hold_all(void)
{
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int tries = 0; tries < 100; tries++) {
		int held = hold_once(&start);

		if (held > 0)
			return NULL;
		let_go();
		if (!held)
			return "one of its threads cannot be held";
	}
	return "its threads come and go";
}

static int go_on(void *thread)
{
	longjmp(((struct thread *)thread)->at, 1);
}

static void make_threads(void)
{
	for (int i = 0; i < n_threads; i++) {
		struct thread *thread = &threads[i];
		pid_t *tid = (pid_t *)((char *)thread->pointer + tid_offset);
		uintptr_t top = (uintptr_t)(thread->stack + START_STACK) & ~15UL;

		if (clone(go_on, (void *)top,
			  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				  CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID,
			  thread, NULL, thread->pointer, tid) < 0)
			_exit(125);
	}
}

static int was_given(const struct order *order, int file)
{
	for (int i = 0; i < order->n; i++)
		if (order->file[i] == file)
			return 1;
	return 0;
}

/* The one socket that is listening, or is not; returns NULL, or why there is no one such. */
static const char *find_socket(const struct order *order, int listening, int *found)
{
	*found = -1;
	for (int file = 3; file < ORDER_FD; file++) {
		int answer, domain;
		socklen_t size = sizeof(int);

		if (was_given(order, file))
			continue;
		if (getsockopt(file, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
		    domain != AF_UNIX)
			continue;
		if (getsockopt(file, SOL_SOCKET, SO_ACCEPTCONN, &answer, &size) < 0 ||
		    answer != listening)
			continue;
		if (*found >= 0)
			return "it has more sockets than its own two";
		*found = file;
	}
	return *found < 0 ? "a socket of it is missing" : NULL;
}

static void rename_self(const struct order *order)
{
	size_t size = strlen(order->old_name) + 1;

	for (char *at = words; at + size <= words + words_size; at += strlen(at) + 1) {
		if (memcmp(at, order->old_name, size))
			continue;
		memset(at, 0, size);
		memcpy(at, order->name, strlen(order->name));
		return;
	}
}

static char *next_huge_page(char *from)
{
	return (char *)(((uintptr_t)from + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
}

/*
 * A first write to a page that is shared since the fork is a fault, and has the
 * processors that ran this process interrupted. Of huge pages most of the small
 * ones are written soon, in the heap and where translated code lies; so they are
 * copied as a whole, now that there is one thread.
 */
/* Returns -1 where nothing lies. */
static int copy_huge_page(char *page, int protection)
{
	unsigned char present[HUGE_PAGE / SMALL_PAGE];
	char *room, *fresh;
	int n = 0;

	if (mincore(page, HUGE_PAGE, present) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(present); i++)
		n += present[i] & 1;
	if (n < (int)sizeof(present) / 2)
		return n ? 0 : -1;
	room = mmap(NULL, 2 * HUGE_PAGE, protection,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return 0;
	fresh = next_huge_page(room);
	syscall(SYS_madvise, fresh, HUGE_PAGE, MADV_HUGEPAGE);
	memcpy(fresh, page, HUGE_PAGE);
	if (fresh > room)
		munmap(room, fresh - room);
	if (fresh < room + HUGE_PAGE)
		munmap(fresh + HUGE_PAGE, room + HUGE_PAGE - fresh);
	mremap(fresh, HUGE_PAGE, HUGE_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page);

	return 0;
}

static void copy_areas(const struct order *order)
{
	for (int i = 0; i < order->n_areas; i++) {
		char *end = order->area[i].start + order->area[i].size;
		char *at = next_huge_page(order->area[i].start);

		/* both the heap and the translated code are filled from their beginning */
		for (; at + HUGE_PAGE <= end; at += HUGE_PAGE)
			if (copy_huge_page(at, order->area[i].protection) < 0)
				break;
	}
}

static void become_fork(pid_t launcher, const struct order *order)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launcher)
		_exit(1);
	setpgid(0, 0);
	for (int i = 0; i < order->n; i++) {
		int place = order->place[i];
		int status = fcntl(place, F_GETFL), own = fcntl(place, F_GETFD);

		if (dup3(order->file[i], place, own & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
			_exit(124);
		fcntl(place, F_SETFL, status);
		close(order->file[i]);
	}
	rename_self(order);
	copy_areas(order);
	make_threads();
}

/* Returns 0 in the fork. */
static pid_t fork_all(struct order *order, const char **why)
{
	pid_t launcher = getppid(), pid;

	for (int i = 0; i < order->n && !*why; i++)
		if (order->place[i] < 0)
			*why = find_socket(order, order->place[i] == AGENT_LISTENER,
					   &order->place[i]);
	if (!tid_offset)
		*why = "the C library keeps thread ids elsewhere";
	if (*why)
		return -1;
	*why = hold_all();
	if (*why)
		return -1;
	pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		become_fork(launcher, order);
		return 0;
	}
	let_go();
	if (pid < 0)
		*why = "the kernel makes no more processes";
	return pid;
}

static int receive(struct order *order)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(order->file))];
	} control;
	struct iovec piece = { order, sizeof(*order) };
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	if (recvmsg(ORDER_FD, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*order))
		return -1;
	memcpy(order->file, CMSG_DATA(CMSG_FIRSTHDR(&message)), order->n * sizeof(int));
	return 0;
}

/* The first thread is asked by the launcher, the others by the first. */
static void on_signal(int signal)
{
	static struct order order;
	const char *why = NULL;
	struct answer answer = { 0 };
	int saved = errno;

	(void)signal;
	if (own_tid() != getpid()) {
		hold();
	} else if (receive(&order) == 0) {
		answer.pid = fork_all(&order, &why);
		if (answer.pid) {
			for (int i = 0; i < order.n; i++)
				close(order.file[i]);
			if (why)
				strncpy(answer.why, why, sizeof(answer.why) - 1);
			send(ORDER_FD, &answer, sizeof(answer), MSG_NOSIGNAL);
		}
	}
	errno = saved;
}

void allow_forks(char *area, size_t area_size)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	char *descriptor = __builtin_thread_pointer();

	words = area;
	words_size = area_size;
	for (size_t at = 0; at < DESCRIPTOR_SIZE && !tid_offset; at += sizeof(pid_t))
		if (*(pid_t *)(descriptor + at) == own_tid())
			tid_offset = at;
	sigfillset(&action.sa_mask);
	sigaction(HOLD_SIGNAL, &action, NULL);
}

pid_t order_fork(pid_t pid, int control, const struct order *order, char *why, size_t size)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(order->file))];
	} rights;
	struct iovec piece = { (void *)order, sizeof(*order) };
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1,
		.msg_control = &rights, .msg_controllen = CMSG_SPACE(order->n * sizeof(int)),
	};
	struct pollfd ready = { .fd = control, .events = POLLIN };
	struct answer answer;

	memset(&rights, 0, sizeof(rights));
	rights.header.cmsg_level = SOL_SOCKET;
	rights.header.cmsg_type = SCM_RIGHTS;
	rights.header.cmsg_len = CMSG_LEN(order->n * sizeof(int));
	memcpy(CMSG_DATA(&rights.header), order->file, order->n * sizeof(int));
	if (sendmsg(control, &message, MSG_NOSIGNAL) < 0 ||
	    syscall(SYS_tgkill, pid, pid, HOLD_SIGNAL) < 0) {
		snprintf(why, size, "the machine cannot be asked: %s", strerror(errno));
		return -1;
	}
	if (poll(&ready, 1, ANSWER_MS) <= 0 ||
	    recv(control, &answer, sizeof(answer), 0) != sizeof(answer)) {
		snprintf(why, size, "the machine did not answer");
		kill(pid, SIGKILL); /* nobody knows what it is doing */
		return -1;
	}
	if (answer.pid < 0)
		snprintf(why, size, "%s", answer.why);
	return answer.pid;
}
