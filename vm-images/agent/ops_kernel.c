// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(struct buf *why, const char *call, const char *what)
{
	int err = errno;
	char text[400];

	snprintf(text, sizeof(text), "%s %.300s: %s", call, what, strerror(err));
	buf_put(why, text, strlen(text));
	return err ? -err : -EIO;
}

/* Request: string path, string parameters, u32 flags of finit_module(2). */
int op_insmod(struct reader *in, struct buf *reply, struct buf *why)
{
	int fd _cleanup_close_ = -1;
	const char *path = read_str(in), *params = read_str(in);
	uint32_t flags = read_u32(in);

	(void)reply;
	if (in->bad)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(why, "open", path);
	if (syscall(SYS_finit_module, fd, params, flags) < 0)
		return failed(why, "finit_module", path);
	return 0;
}

/* Request: string name, u32 flags of delete_module(2). */
int op_rmmod(struct reader *in, struct buf *reply, struct buf *why)
{
	const char *name = read_str(in);
	uint32_t flags = read_u32(in);

	(void)reply;
	if (in->bad)
		return -EINVAL;
	if (syscall(SYS_delete_module, name, flags) < 0)
		return failed(why, "delete_module", name);
	return 0;
}

/* Request: strings source, target, type, data; u64 flags of mount(2); u32 1 = make the target first. */
int op_mount(struct reader *in, struct buf *reply, struct buf *why)
{
	const char *source = read_str(in), *target = read_str(in);
	const char *type = read_str(in), *data = read_str(in);
	uint64_t flags = read_u64(in);
	uint32_t make = read_u32(in);

	(void)reply;
	if (in->bad)
		return -EINVAL;
	if (make && (make_parents(target) < 0 || (mkdir(target, 0755) < 0 && errno != EEXIST)))
		return failed(why, "mkdir", target);
	if (mount(source, target, type, (unsigned long)flags, data) < 0)
		return failed(why, "mount on", target);
	return 0;
}

/* Request: string target, u32 flags of umount2(2). */
int op_umount(struct reader *in, struct buf *reply, struct buf *why)
{
	const char *target = read_str(in);
	uint32_t flags = read_u32(in);

	(void)reply;
	if (in->bad)
		return -EINVAL;
	if (umount2(target, (int)flags) < 0)
		return failed(why, "umount", target);
	return 0;
}
