// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "dispatch.h"
#include "peer_child.h"

#define PORT_NAME	"buslab.agent"

uint32_t session;
static int epoll_fd = -1;

int source_add(struct source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &ev);
}

void source_change(struct source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };

	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, source->fd, &ev);
}

void source_remove(struct source *source)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void child_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

void dispatch(const struct frame *frame)
{
	if (host_request(frame) || worker_request(frame) || peer_request(frame))
		return;
	reply_error(session, frame->request, EOPNOTSUPP, "request type %u is not known", frame->type);
}

/* The port by its name, without udev's links: /sys/class/virtio-ports/X/name. */
static int open_port(void)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	int found = -1;

	while (dir && found < 0 && (entry = readdir(dir))) {
		char path[512], name[64] = "";
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, name, sizeof(name) - 1);
		close(fd);
		if (n <= 0 || strcspn(name, "\n") != strlen(PORT_NAME) ||
		    strncmp(name, PORT_NAME, strlen(PORT_NAME)))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		found = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (found < 0)
			perror(path);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int wait_for_port(void)
{
	for (int tries = 0; tries < 600; tries++) {
		int fd = open_port();

		if (fd >= 0)
			return fd;
		usleep(50000);
	}
	fprintf(stderr, "buslab-agent: no virtio port named %s within 30 s\n", PORT_NAME);
	return -1;
}

static void accept_ready(struct source *source, uint32_t events)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		link_adopt(fd, false); /* the newest client wins, as on a port */
}

static int listen_on(const char *path, struct source *source)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, path);
	unlink(path);
	source->ready = accept_ready;
	source->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (source->fd < 0 || bind(source->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(source->fd, 4) < 0)
		return -1;
	return source_add(source, EPOLLIN);
}

static void children_ready(struct source *source, uint32_t events)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	/* what a peer said before it died comes before the news of its death */
	peers_drain();
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!peer_reaped(pid, status))
			worker_reaped(pid, status);
}

static int watch_children(struct source *source)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* children of peers are ours */
	source->ready = children_ready;
	source->fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return source->fd < 0 ? -1 : source_add(source, EPOLLIN);
}

static int shorter(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static int serve(bool end_with_link)
{
	for (;;) {
		struct epoll_event ev;
		int n = epoll_wait(epoll_fd, &ev, 1, shorter(link_timeout_ms(), worker_timeout_ms()));

		if (n < 0 && errno != EINTR) {
			perror("buslab-agent: epoll_wait");
			return 1;
		}
		if (n == 1) {
			struct source *source = ev.data.ptr;

			source->ready(source, ev.events);
		} else if (n == 0 && link_is_open()) {
			link_service();
		}
		worker_expire();
		if (end_with_link && !link_is_open())
			return 0;
	}
}

static int print_usage(void)
{
	fputs("usage: buslab-agent             serve the virtio port " PORT_NAME "\n"
	      "       buslab-agent --socket PATH   listen on a unix socket\n"
	      "       buslab-agent --fd N          serve a connected descriptor, end with it\n"
	      "       buslab-agent --abi           print the layout of the bus interface as JSON\n"
	      "       buslab-agent --version\n", stderr);
	return 2;
}

/* Clones of a machine start with what its page cache has: all of this program, not only what has run so far. */
static void read_ahead_of_self(void)
{
	int fd _cleanup_close_ = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		readahead(fd, 0, 16 << 20);
}

int main(int argc, char **argv)
{
	static struct source children, listener;
	const char *mode = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : NULL;

	if (argc == 2 && !strcmp(mode, "--abi"))
		return abi_dump();
	if (argc == 2 && !strcmp(mode, "--version"))
		return printf("buslab-agent %d\n", AGENT_VERSION) < 0;
	if (argc == 5 && !strcmp(mode, "--peer"))
		return peer_continue(atoi(arg), atoi(argv[3]), atoi(argv[4]));
	if (!(argc == 1 || (argc == 3 && (!strcmp(mode, "--socket") || !strcmp(mode, "--fd")))))
		return print_usage();

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || watch_children(&children) < 0 || arena_create() < 0) {
		perror("buslab-agent: start");
		return 1;
	}
	if (argc == 1) {
		int fd = wait_for_port();

		if (fd < 0)
			return 1;
		read_ahead_of_self();
		link_adopt(fd, true);
	} else if (!strcmp(mode, "--socket")) {
		if (listen_on(arg, &listener) < 0) {
			perror(arg);
			return 1;
		}
	} else {
		int fd = atoi(arg);

		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		link_adopt(fd, false);
		return serve(true);
	}
	return serve(false);
}
