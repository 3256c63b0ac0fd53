// SPDX-License-Identifier: GPL-2.0
/* What a fork of a machine has in other places than the machine, see fork.c. */
#define _GNU_SOURCE
#include "fork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int add_file(struct order *order, int place, int file)
{
	if (file < 0 || order->n == MAX_FILES) {
		if (file >= 0)
			close(file);
		return -1;
	}
	order->place[order->n] = place;
	order->file[order->n++] = file;
	return 0;
}

static int unix_socket(const char *path, int listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct sockaddr *place = (struct sockaddr *)&address;
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (file < 0)
		return -1;
	if (listening ? bind(file, place, sizeof(address)) == 0 && listen(file, 1) == 0 :
			connect(file, place, sizeof(address)) == 0)
		return file;
	close(file);
	return -1;
}

/* Another counter with the same count, or another epoll instance that waits for nothing too. */
static int same_notifier(const char *info, int epoll)
{
	static const char counter[] = "eventfd-count:";
	char line[128];
	unsigned long count = 0;
	int entries = 0;
	FILE *file = fopen(info, "re");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		entries += !strncmp(line, "tfd:", 4);
		if (!strncmp(line, counter, strlen(counter)))
			count = strtoul(line + strlen(counter), NULL, 16);
	}
	fclose(file);
	if (epoll)
		return entries ? -1 : epoll_create1(EPOLL_CLOEXEC);
	return eventfd(count, EFD_CLOEXEC);
}

/* A copy without a name of a file that has none any more. */
static int same_file(const char *path, const char *folder)
{
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int to = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	off_t at = 0, end = -1;
	struct stat status;

	if (from < 0 || to < 0 || fstat(from, &status) < 0 || ftruncate(to, status.st_size) < 0)
		goto failed;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t written = at;

		end = lseek(from, at, SEEK_HOLE);
		while (at < end)
			if (copy_file_range(from, &at, to, &written, end - at, 0) <= 0)
				goto failed;
	}
	if (errno != ENXIO)
		goto failed;
	close(from);
	return to;
failed:
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return -1;
}

/*
 * What the fork must not share with a machine: counters, and files without a
 * name, to which its disk is written. Files with a name and the descriptor of
 * signals are only read. 0, or -1 for a file that there is no copy of.
 */
static int add_own_file(struct order *order, int place, const char *link, const char *path,
			const char *info, const char *folder)
{
	size_t length = strlen(link), end = strlen(" (deleted)");
	struct stat status;

	if (!strcmp(link, "anon_inode:[eventfd]") || !strcmp(link, "anon_inode:[eventpoll]"))
		return add_file(order, place, same_notifier(info, !!strstr(link, "eventpoll")));
	if (!strncmp(link, "socket:", 7) || !strcmp(link, "anon_inode:[signalfd]"))
		return 0;
	if (link[0] != '/' || stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return -1;
	if (length > end && !strcmp(link + length - end, " (deleted)"))
		return add_file(order, place, same_file(path, folder));
	return 0;
}

/* Returns what cannot be copied, or NULL. */
static const char *add_own_files(struct order *order, pid_t pid, const char *folder)
{
	static char found[160];
	char path[64], info[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return "the list of its files";
	while ((entry = readdir(dir))) {
		int place = atoi(entry->d_name);
		ssize_t length;

		if (place <= STDERR_FILENO || place >= ZEROS_FD)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, place);
		snprintf(info, sizeof(info), "/proc/%d/fdinfo/%d", pid, place);
		length = readlink(path, found, sizeof(found) - 1);
		if (length < 0)
			continue;
		found[length] = '\0';
		if (add_own_file(order, place, found, path, info, folder)) {
			closedir(dir);
			return found;
		}
	}
	closedir(dir);

	return NULL;
}

static void add_area(struct order *order, char *start, char *end, const char *mode)
{
	if (order->n_areas == MAX_AREAS || mode[0] != 'r' || mode[1] != 'w')
		return;
	order->area[order->n_areas].protection =
		PROT_READ | PROT_WRITE | (mode[2] == 'x' ? PROT_EXEC : 0);
	order->area[order->n_areas].start = start;
	order->area[order->n_areas++].size = end - start;
}

/* What a machine has in huge pages. */
static void add_areas(struct order *order, pid_t pid)
{
	char path[64], line[512], mode[5] = "";
	char *start = NULL, *end = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		unsigned long from, to, kilobytes;

		if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3) {
			start = (char *)from;
			end = (char *)to;
		} else if (sscanf(line, "AnonHugePages: %lu kB", &kilobytes) == 1 && kilobytes) {
			add_area(order, start, end, mode);
		}
	}
	fclose(file);
}

static void set_name(struct order *order, pid_t pid, const char *name)
{
	char path[64], line[4096];
	ssize_t got;
	int file;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	got = file < 0 ? 0 : read(file, line, sizeof(line) - 1);
	if (file >= 0)
		close(file);
	if (got <= 0)
		return;
	line[got] = '\0';
	for (char *at = line; at < line + got; at += strlen(at) + 1) {
		char *next = at + strlen(at) + 1;

		if (strcmp(at, "-name") || next >= line + got)
			continue;
		if (strlen(name) > strlen(next) || strlen(next) >= sizeof(order->name))
			continue;
		strcpy(order->old_name, next);
		strcpy(order->name, name);
	}
}

static int append_to(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

int fill_order(struct order *order, pid_t pid, char **words, char *why, size_t size)
{
	const char *bad;

	set_name(order, pid, words[3]);
	add_areas(order, pid);
	unlink(words[4]);
	if (add_file(order, STDOUT_FILENO, append_to(words[0])) ||
	    add_file(order, STDERR_FILENO, append_to(words[1])) ||
	    add_file(order, AGENT_LISTENER, unix_socket(words[4], 1)) ||
	    add_file(order, MONITOR_CONNECTION, unix_socket(words[5], 0))) {
		snprintf(why, size, "its files cannot be opened: %s", strerror(errno));
		return -1;
	}
	bad = add_own_files(order, pid, words[2]);
	if (!bad)
		return 0;
	snprintf(why, size, "%s cannot be copied", bad);
	return -1;
}
