// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Request: string path, u32 open(2) mode bits, u32 flags, u64 offset, rest: bytes. Reply: u64 written. */
#define WRITE_TRUNCATE	1
#define WRITE_CREATE	2
#define WRITE_PARENTS	4
#define WRITE_PLAIN	8	/* write(2), for /proc and /sys; else pwrite at offset */

static int failed(struct buf *why, const char *call, const char *path)
{
	int err = errno;
	char text[400];

	snprintf(text, sizeof(text), "%s %.300s: %s", call, path, strerror(err));
	buf_put(why, text, strlen(text));
	return err ? -err : -EIO;
}

int make_parents(const char *path)
{
	char *copy _cleanup_(freep) = strdup(path);

	if (!copy)
		return -1;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

int op_write_file(struct reader *in, struct buf *reply, struct buf *why)
{
	int fd _cleanup_close_ = -1;
	const char *path = read_str(in);
	uint32_t mode = read_u32(in), flags = read_u32(in);
	uint64_t offset = read_u64(in);
	size_t done = 0;

	if (in->bad)
		return -EINVAL;
	if (flags & WRITE_PARENTS && make_parents(path) < 0)
		return failed(why, "mkdir for", path);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | (flags & WRITE_CREATE ? O_CREAT : 0) |
		  (flags & WRITE_TRUNCATE ? O_TRUNC : 0), (mode_t)mode);
	if (fd < 0)
		return failed(why, "open", path);
	if (flags & WRITE_CREATE && mode && fchmod(fd, (mode_t)mode) < 0)
		return failed(why, "chmod", path);
	while (done < in->left) {
		ssize_t n = flags & WRITE_PLAIN ?
			write(fd, in->at + done, in->left - done) :
			pwrite(fd, in->at + done, in->left - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(why, "write", path);
		done += (size_t)n;
	}
	buf_u64(reply, done);
	return 0;
}

/*
 * The kernel takes memory for the whole of a read() from /proc/sys, and clears
 * it: the first is small, and larger ones are for files that turn out to be.
 */
#define FIRST_READ	8192u

/* Request: string path, u64 offset, u32 most bytes. Reply: u32 1 at the end of the file, bytes. */
int op_read_file(struct reader *in, struct buf *reply, struct buf *why)
{
	int fd _cleanup_close_ = -1;
	const char *path = read_str(in);
	uint64_t offset = read_u64(in);
	uint32_t most = read_u32(in), end = 0;
	bool seeks = true;

	if (in->bad || most > MAX_PAYLOAD - 4096)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return failed(why, "open", path);
	buf_u32(reply, 0);
	while (reply->len - 4 < most) {
		size_t got = reply->len - 4, room = got < FIRST_READ ? FIRST_READ : most;
		uint8_t *to;
		ssize_t n;

		if (room > most - got)
			room = most - got;
		buf_reserve(reply, room);
		to = reply->data + reply->len;
		n = seeks ? pread(fd, to, room, (off_t)(offset + got)) : read(fd, to, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ESPIPE && seeks && !offset) {
			seeks = false;
			continue;
		}
		if (n < 0)
			return failed(why, "read", path);
		if (!n) {
			end = 1;
			break;
		}
		reply->len += (size_t)n;
	}
	reply->data[0] = (uint8_t)end;
	return 0;
}
