// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Runs one command and collects what it prints.
 *
 * Request: u32 milliseconds, u32 most bytes kept of each stream, string
 * directory, u32 n + strings: arguments, u32 n + strings: environment,
 * u32 n + bytes: stdin.
 * Reply: u32 wait status, u32 1 = killed at its limit, u32 n + bytes: stdout,
 * u32 n + bytes: stderr (what exceeds the limit is thrown away and counted in
 * two closing u64: bytes printed on stdout, on stderr).
 */
struct stream {
	int fd;
	struct buf kept;
	uint64_t printed;
};

static char **read_list(struct reader *in)
{
	uint32_t n = read_u32(in);
	char **list;

	if (n > in->left)
		in->bad = true;
	if (in->bad)
		return NULL;
	list = calloc(n + 1u, sizeof(*list));
	if (!list)
		abort();
	for (uint32_t i = 0; i < n; i++)
		list[i] = (char *)(uintptr_t)read_str(in);
	return list;
}

static void take(struct stream *s, uint32_t most)
{
	uint8_t chunk[65536];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(s->fd);
		s->fd = -1;
		return;
	}
	s->printed += (uint64_t)n;
	if (s->kept.len < most) {
		size_t room = most - s->kept.len;

		buf_put(&s->kept, chunk, (size_t)n < room ? (size_t)n : room);
	}
}

__attribute__((__noreturn__))
static void run(char **argv, char **env, const char *dir, int in, int out, int err)
{
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	if (*dir && chdir(dir) < 0) {
		fprintf(stderr, "buslab-agent: chdir %s: %s\n", dir, strerror(errno));
		_exit(126);
	}
	execvpe(argv[0], argv, env);
	fprintf(stderr, "buslab-agent: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = now_ns();

	return now >= deadline_ns ? 0 : (int)((deadline_ns - now) / 1000000) + 1;
}

/* Feeds stdin and collects until all ends are closed; false at the limit. */
static bool pump(int in, const uint8_t *text, size_t len, struct stream *out, struct stream *err,
		 uint32_t most, uint64_t deadline_ns)
{
	while (out->fd >= 0 || err->fd >= 0) {
		struct pollfd p[3] = {
			{ .fd = out->fd, .events = POLLIN },
			{ .fd = err->fd, .events = POLLIN },
			{ .fd = in, .events = POLLOUT },
		};
		int wait = left_ms(deadline_ns);

		if (!wait || (poll(p, 3, wait) < 0 && errno != EINTR)) {
			closep(&in);
			return false;
		}
		if (p[0].revents)
			take(out, most);
		if (p[1].revents)
			take(err, most);
		if (in >= 0 && (p[2].revents || !len)) {
			ssize_t n = len ? write(in, text, len) : 0;

			if (n > 0) {
				text += n;
				len -= (size_t)n;
			}
			if (!len || (n < 0 && errno != EAGAIN && errno != EINTR)) {
				close(in);
				in = -1;
			}
		}
	}
	closep(&in);
	return true;
}

/* Ends the process and its group. AGENT_HELD when the kernel does not let it die. */
static int end_killed(pid_t pid, int *status, struct buf *why)
{
	struct hold hold = { 0 };

	kill(-pid, SIGKILL);
	for (unsigned int ms = 0; waitpid(pid, status, WNOHANG) == 0; ms++) {
		if (ms % HELD_MS == 0 && held(pid, &hold, why))
			return -AGENT_HELD;
		usleep(1000);
	}
	kill(-pid, SIGKILL); /* what it left in the background */
	return 0;
}

int op_exec(struct reader *in, struct buf *reply, struct buf *why)
{
	uint32_t limit_ms = read_u32(in), most = read_u32(in);
	const char *dir = read_str(in);
	char **argv = read_list(in), **env = read_list(in);
	uint32_t stdin_len = read_u32(in);
	const uint8_t *text = read_bytes(in, stdin_len);
	int i[2], o[2], e[2], status = 0;
	uint64_t deadline_ns = now_ns() + (uint64_t)limit_ms * 1000000u;
	struct stream out = { .fd = -1 }, err = { .fd = -1 };
	uint32_t killed = 0;
	pid_t pid;

	if (in->bad || !argv[0])
		return -EINVAL;
	if (pipe2(i, O_CLOEXEC) < 0 || pipe2(o, O_CLOEXEC) < 0 || pipe2(e, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		buf_put(why, "fork", 4);
		return -errno;
	}
	if (!pid)
		run(argv, env, dir, i[0], o[1], e[1]);
	setpgid(pid, pid);
	close(i[0]);
	close(o[1]);
	close(e[1]);
	fcntl(i[1], F_SETFL, O_NONBLOCK);
	out.fd = o[0];
	err.fd = e[0];
	killed = !pump(i[1], text, stdin_len, &out, &err, most, deadline_ns);
	while (!killed && waitpid(pid, &status, WNOHANG) == 0) {
		killed = !left_ms(deadline_ns);
		if (!killed)
			usleep(1000);
	}
	if (killed) {
		int result = end_killed(pid, &status, why);

		if (result < 0)
			return result;
	}
	buf_u32(reply, (uint32_t)status);
	buf_u32(reply, killed);
	buf_u32(reply, (uint32_t)out.kept.len);
	buf_put(reply, out.kept.data, out.kept.len);
	buf_u32(reply, (uint32_t)err.kept.len);
	buf_put(reply, err.kept.data, err.kept.len);
	buf_u64(reply, out.printed);
	buf_u64(reply, err.printed);
	return 0;
}
