// SPDX-License-Identifier: GPL-2.0
/* Requests that never block: the supervisor answers them itself. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define SEED_BYTES	64

/* sysname, release, version, machine, nodename; u32 page size, u32 bits of a long, u32 pid */
static void info(const struct frame *frame)
{
	struct buf b = { 0 };
	struct utsname u;

	uname(&u);
	buf_str(&b, u.sysname);
	buf_str(&b, u.release);
	buf_str(&b, u.version);
	buf_str(&b, u.machine);
	buf_str(&b, u.nodename);
	buf_u32(&b, (uint32_t)sysconf(_SC_PAGESIZE));
	buf_u32(&b, (uint32_t)(8 * sizeof(long)));
	buf_u32(&b, (uint32_t)getpid());
	reply_ok(session, frame->request, &b);
	buf_free(&b);
}

/*
 * A clone wakes with the clock and the random state of its template.
 * Payload: u64 nanoseconds of CLOCK_REALTIME (0 = leave the clock), u8[64] seed.
 */
static void restored(const struct frame *frame)
{
	struct reader r = reader_of(frame->payload, frame->len);
	uint64_t ns = read_u64(&r);
	const uint8_t *seed = read_bytes(&r, SEED_BYTES);
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
	struct {
		struct rand_pool_info head;
		uint32_t words[SEED_BYTES / 4];
	} pool;
	int fd _cleanup_close_ = -1;

	if (r.bad) {
		reply_error(session, frame->request, EINVAL, "RESTORED wants a time and %d bytes", SEED_BYTES);
		return;
	}
	if (ns && clock_settime(CLOCK_REALTIME, &ts) < 0) {
		reply_error(session, frame->request, errno, "clock_settime: %s", strerror(errno));
		return;
	}
	memset(&pool, 0, sizeof(pool));
	pool.head.entropy_count = SEED_BYTES * 8;
	pool.head.buf_size = SEED_BYTES;
	memcpy(pool.words, seed, SEED_BYTES);
	fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	if (fd < 0 || write(fd, seed, SEED_BYTES) != SEED_BYTES ||
	    ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0) {
		reply_error(session, frame->request, errno, "seeding /dev/urandom: %s", strerror(errno));
		return;
	}
	reply_ok(session, frame->request, NULL);
}

/*
 * Kernel log. Request: u64 first wanted sequence number (~0 = only tell the
 * next one), u32 most bytes. Reply: u64 next sequence number, u32 1 if more
 * is there, u32 records lost (overwritten before they were read),
 * string of raw /dev/kmsg records.
 */
static void klog(const struct frame *frame)
{
	struct reader r = reader_of(frame->payload, frame->len);
	uint64_t from = read_u64(&r), next = from == UINT64_MAX ? 0 : from;
	uint32_t most = read_u32(&r), lost = 0, more = 0;
	struct buf text = { 0 }, b = { 0 };
	int fd _cleanup_close_ = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool first = true;

	if (r.bad || fd < 0) {
		reply_error(session, frame->request, r.bad ? EINVAL : errno, "/dev/kmsg cannot be read");
		return;
	}
	for (;;) {
		char record[8192 + 1];
		ssize_t n = read(fd, record, sizeof(record) - 1);
		unsigned long long seq;

		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* EPIPE: records were overwritten; the numbers show how many */
		if (n <= 0)
			break;
		record[n] = 0;
		if (sscanf(record, "%*u,%llu", &seq) != 1)
			continue;
		if (from == UINT64_MAX) {
			next = seq + 1;
			continue;
		}
		if (seq < from)
			continue;
		if (first && seq > from)
			lost = (uint32_t)(seq - from);
		first = false;
		if (text.len + (size_t)n > most) {
			more = 1;
			break;
		}
		buf_put(&text, record, (size_t)n);
		next = seq + 1;
	}
	buf_u64(&b, next);
	buf_u32(&b, more);
	buf_u32(&b, lost);
	buf_u32(&b, (uint32_t)text.len + 1);
	buf_put(&b, text.data, text.len);
	buf_put(&b, "", 1);
	reply_ok(session, frame->request, &b);
	buf_free(&text);
	buf_free(&b);
}

/* One read or write of a special file. */
static bool exchange(const char *path, int flags, char *bytes, size_t len)
{
	int fd _cleanup_close_ = open(path, flags | O_CLOEXEC);

	return fd >= 0 && (flags == O_RDONLY ? read(fd, bytes, len) > 0 : write(fd, bytes, len) == (ssize_t)len);
}

/*
 * A line of user space in the kernel's log, and the taint behind it. Payload:
 * string of at most 200 bytes. Reply: u64 taint. It blocks only where printk()
 * does, and then the kernel hangs: no answer is the right answer.
 */
static void mark(const struct frame *frame)
{
	struct reader r = reader_of(frame->payload, frame->len);
	const char *text = read_str(&r);
	char line[256], taint[32] = "";
	struct buf b = { 0 };
	int len;

	if (r.bad || strlen(text) > 200 || strchr(text, '\n')) {
		reply_error(session, frame->request, EINVAL, "MARK wants one line of at most 200 bytes");
		return;
	}
	len = snprintf(line, sizeof(line), "<12>%s\n", text);
	if (!exchange("/dev/kmsg", O_WRONLY, line, (size_t)len) ||
	    !exchange("/proc/sys/kernel/tainted", O_RDONLY, taint, sizeof(taint) - 1)) {
		reply_error(session, frame->request, errno, "the kernel's log or its taint: %s", strerror(errno));
		return;
	}
	buf_u64(&b, strtoull(taint, NULL, 10));
	reply_ok(session, frame->request, &b);
	buf_free(&b);
}

bool host_request(const struct frame *frame)
{
	struct buf echo = { .data = (uint8_t *)(uintptr_t)frame->payload, .len = frame->len };

	switch (frame->type) {
	case REQ_PING:
		reply_ok(session, frame->request, &echo);
		return true;
	case REQ_INFO:
		info(frame);
		return true;
	case REQ_RESTORED:
		restored(frame);
		return true;
	case REQ_KLOG:
		klog(frame);
		return true;
	case REQ_MARK:
		mark(frame);
		return true;
	default:
		return false;
	}
}
