// SPDX-License-Identifier: GPL-2.0
/* One program: threads, the calls on the bus, and what is learnt from their answers. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <kdbus.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A call that blocks is interrupted after this long. */
#define TICK_NS		10000000L
/* What other threads get to finish, in milliseconds; one that once did not gets no more until it moved. */
#define JOIN_TURNS	30

struct session session;

static struct {
	uint16_t queue[MAX_CALLS];
	uint16_t length;
	atomic_uint done;
	unsigned int blocked_at;
	sem_t work;
	int fail_fd;
} workers[THREADS];

static void put_word(uint8_t *data, const struct call *call, const struct patch *patch, uint64_t value, size_t bytes)
{
	if (patch->at + bytes <= call->bytes)
		memcpy(data + patch->at, &value, bytes);
}

/* The data as it is given to the kernel. */
static void patch_data(const struct call *call, uint8_t *data, const uint8_t *address)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	memcpy(data, call->data, call->bytes);
	for (int i = 0; i < call->patches; i++) {
		const struct patch *patch = &call->patch[i];
		const struct slot *slot = &session.slot[patch->slot % SLOTS];
		uint64_t add = (uint64_t)(int64_t)patch->add, value = 0;

		switch (patch->kind) {
		case PATCH_DATA:
			value = (uintptr_t)address + add;
			break;
		case PATCH_ZONE:
			value = memory_zone(patch->slot, patch->add);
			break;
		case PATCH_FD:
			put_word(data, call, patch, (uint32_t)atomic_load(&slot->fd), 4);
			continue;
		case PATCH_ID:
			value = slot->id + add;
			break;
		case PATCH_OFFSET:
			value = slot->offset + add;
			break;
		case PATCH_TIME:
			value = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + add * 1000;
			break;
		case PATCH_COOKIE:
			value = slot->cookie + add;
			break;
		case PATCH_SENDER:
			value = slot->sender + add;
			break;
		case PATCH_POOL:
			value = (uintptr_t)slot->map + add;
			break;
		}
		put_word(data, call, patch, value, 8);
	}
}

static bool read_own(void *to, const uint8_t *from, size_t bytes)
{
	struct iovec local = { to, bytes }, remote = { (void *)(uintptr_t)from, bytes };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

/* Answers are given back in the opposite order. */
static void learn_offset(struct slot *slot, uint64_t offset)
{
	memmove(slot->older + 1, slot->older, sizeof(slot->older) - sizeof(slot->older[0]));
	slot->older[0] = slot->offset;
	slot->offset = offset;
}

static void forget_offset(struct slot *slot)
{
	slot->offset = slot->older[0];
	memmove(slot->older, slot->older + 1, sizeof(slot->older) - sizeof(slot->older[0]));
}

static void learn_message(struct slot *slot, uint64_t offset)
{
	struct kdbus_msg msg;
	uint8_t *map;

	learn_offset(slot, offset);
	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, atomic_load(&slot->fd), (off_t)(offset & ~(PAGE - 1)));
	if (map == MAP_FAILED)
		return;
	if (read_own(&msg, map + offset % PAGE, sizeof(msg))) {
		slot->cookie = msg.cookie;
		slot->sender = msg.src_id;
	}
	munmap(map, 2 * PAGE);
}

static void learn(struct slot *slot, uint32_t command, const uint8_t *address)
{
	union {
		struct kdbus_cmd_hello hello;
		struct kdbus_cmd_info info;
		struct kdbus_cmd_list list;
		struct kdbus_cmd_send send;
		struct kdbus_cmd_recv recv;
	} answer;

	if (command >= CMD_COUNT || !read_own(&answer, address, commands[command].fixed))
		return;
	switch (command) {
	case CMD_HELLO:
		slot->id = answer.hello.id;
		learn_offset(slot, answer.hello.offset);
		break;
	case CMD_CONN_INFO:
	case CMD_BUS_CREATOR_INFO:
		learn_offset(slot, answer.info.offset);
		break;
	case CMD_LIST:
		learn_offset(slot, answer.list.offset);
		break;
	case CMD_FREE:
		forget_offset(slot);
		break;
	case CMD_SEND:
		if (answer.send.reply.msg_size)
			learn_message(slot, answer.send.reply.offset);
		break;
	case CMD_RECV:
		learn_message(slot, answer.recv.msg.offset);
		break;
	}
}

static void arm(unsigned int thread, uint8_t nth)
{
	char text[8];

	if (workers[thread].fail_fd < 0)
		return;
	if (nth)
		atomic_fetch_add(&session.tally->injected, 1);
	pwrite(workers[thread].fail_fd, text, (size_t)snprintf(text, sizeof(text), "%u", nth), 0);
}

static long bus_ioctl(uint16_t index, const struct call *call, unsigned int thread)
{
	struct slot *slot = &session.slot[call->arg[0] % SLOTS];
	uint32_t command = call->arg[1];
	uint8_t data[MAX_DATA];
	struct call shape = { .place = call->place, .bytes = call->bytes };
	uint8_t *address;
	long result = 0;

	/* twice: only when placed is it known where it lies, and it may point at itself */
	memcpy(shape.arg, call->arg, sizeof(shape.arg));
	memset(data, 0, sizeof(data));
	address = memory_place(index, &shape, data);
	patch_data(call, data, address);
	address = memory_place(index, &shape, data);
	for (int n = call->flags & CALL_REPEAT ? 16 : call->flags & CALL_TWICE ? 2 : 1; n; n--) {
		if (call->fail)
			arm(thread, call->fail);
		result = ioctl(atomic_load(&slot->fd), command < CMD_COUNT ? commands[command].number : call->arg[2],
			       address);
		if (result < 0)
			result = -errno;
		if (call->fail)
			arm(thread, 0);
		if (command >= CMD_COUNT)
			continue;
		atomic_fetch_add(&session.tally->tried[command], 1);
		if (result >= 0) {
			atomic_fetch_add(&session.tally->done[command], 1);
			learn(slot, command, address);
		} else if (-result < MAX_ERRNO) {
			atomic_fetch_add(&session.tally->errors[command][-result], 1);
		}
	}
	return result;
}

long call_execute(uint16_t index, unsigned int thread)
{
	const struct call *call = &session.program->call[index];
	long result;

	if (call->op == OP_IOCTL) {
		result = bus_ioctl(index, call, thread);
	} else {
		if (call->fail)
			arm(thread, call->fail);
		result = descriptor_execute(call);
		if (call->fail)
			arm(thread, 0);
	}
	atomic_fetch_add(&session.tally->ops[call->op], 1);
	if (result < 0)
		atomic_fetch_add(&session.tally->failed[call->op], 1);
	if (session.verbose)
		dprintf(2, "%u: thread %u = %ld%s%s\n", index, thread, result, result < 0 ? " " : "", result < 0 ?
			strerror((int)-result) : "");
	return result;
}

/* Interrupts what blocks on this thread, again and again. */
static void start_tick(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	struct itimerspec every = { .it_interval = { .tv_nsec = TICK_NS }, .it_value = { .tv_nsec = TICK_NS } };
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
		timer_settime(timer, 0, &every, NULL);
}

static void start_thread(unsigned int thread)
{
	coverage_thread(thread);
	workers[thread].fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	start_tick();
	/* the raw call changes this thread alone */
	if (session.program->sandbox == SANDBOX_MIXED && thread >= 2)
		syscall(SYS_setresuid, 998 + thread, 998 + thread, 998 + thread);
}

static void *work(void *number)
{
	unsigned int thread = (unsigned int)(uintptr_t)number;
	uint16_t next = 0;

	start_thread(thread);
	for (;;) {
		while (sem_wait(&workers[thread].work) < 0)
			;
		call_execute(workers[thread].queue[next++], thread);
		atomic_fetch_add(&workers[thread].done, 1);
	}
	return NULL;
}

static bool waits_for(int i)
{
	unsigned int done = atomic_load(&workers[i].done);

	return done < workers[i].length && done + 1 != workers[i].blocked_at;
}

static void join(void)
{
	for (int turn = 0; turn < JOIN_TURNS; turn++) {
		bool any = false;

		for (int i = 1; i < THREADS; i++)
			any |= waits_for(i);
		if (!any)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = turn ? 1000000 : 100000 }, NULL);
	}
	for (int i = 1; i < THREADS; i++)
		if (waits_for(i))
			workers[i].blocked_at = atomic_load(&workers[i].done) + 1;
}

static void on_tick(int number)
{
	(void)number;
}

/* A thread that ran into memory the program took away ends; the others go on. */
static void on_fault(int number)
{
	(void)number;
	syscall(getpid() == (pid_t)syscall(SYS_gettid) ? SYS_exit_group : SYS_exit, 0);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		write(fd, text, strlen(text));
		close(fd);
	}
}

static void enter_sandbox(uint8_t sandbox)
{
	switch (sandbox) {
	case SANDBOX_USER:
		if (setgid(1000) < 0 || setuid(1000) < 0)
			_exit(2);
		prctl(PR_SET_DUMPABLE, 1);
		break;
	case SANDBOX_USERNS:
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			break;
		write_file("/proc/self/setgroups", "deny");
		write_file("/proc/self/uid_map", "0 0 1\n");
		write_file("/proc/self/gid_map", "0 0 1\n");
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
		mount("kdbus", MOUNT_POINT, "kdbusfs", 0, NULL);
		break;
	}
}

void session_run(const struct program *program, struct tally *tally, bool verbose)
{
	struct sigaction tick = { .sa_handler = on_tick }, fault = { .sa_handler = on_fault };
	bool threads[THREADS] = { true };
	pthread_attr_t attr;
	pthread_t thread;

	session.program = program;
	session.tally = tally;
	session.verbose = verbose;
	for (int i = 0; i < SLOTS; i++)
		atomic_store(&session.slot[i].fd, -1);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 512, 512 });
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 64u << 20, 64u << 20 });
	sigaction(SIGUSR1, &tick, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	memory_init(program);
	enter_sandbox(program->sandbox);
	memory_threads(program);
	for (uint16_t i = 0; i < program->calls; i++)
		threads[program->call[i].thread] = true;
	for (unsigned int i = 1; i < THREADS; i++) {
		sem_init(&workers[i].work, 0, 0);
		if (threads[i] && pthread_create(&thread, &attr, work, (void *)(uintptr_t)i))
			_exit(2);
	}
	start_thread(0);
	for (uint16_t i = 0; i < program->calls; i++) {
		unsigned int to = program->call[i].thread;

		if (program->call[i].flags & CALL_JOIN)
			join();
		if (to == 0) {
			call_execute(i, 0);
			continue;
		}
		workers[to].queue[workers[to].length++] = i;
		sem_post(&workers[to].work);
	}
	join();
	_exit(0);
}
