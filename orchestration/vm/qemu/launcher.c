// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into QEMU: holds it in front of its main() and makes machines by
 * fork, each of which goes on into main() with arguments of its own. What the
 * dynamic linker and the constructors do is done once, not for each machine.
 *
 * Acts only where the one argument begins with MARK. That is long, for the
 * machines' arguments are written over it: a machine's command line is read
 * from /proc as if the machine had been executed.
 *
 * Commands, one a line on standard input, their words separated by blanks and
 * percent-encoded:
 *   start ID STDOUT STDERR INPUT TMPDIR ARGUMENT...	INPUT: read as descriptor 3, or "-"
 *   fork ID PARENT STDOUT STDERR TMPDIR NAME AGENT MONITOR
 *	NAME: in place of the parent's; AGENT: path listened at; MONITOR: path connected to
 *   feed ID TEXT					written to standard input
 * A fork is a copy of a machine whose guest is stopped, with files of its own, see fork.c.
 * Answers on standard output: "ready", "started ID PID", "failed ID REASON",
 * "ended ID CODE SIGNAL". Both outputs are appended to. A machine leads a
 * process group of its own and dies with this process, which kills what is left
 * at the end of its input.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"

#define MARK		"buslab-launcher"
#define MAX_WORDS	256
#define MAX_LINE	(256 * 1024)
/* one chip of the board "virt" */
#define FLASH_SIZE	(64UL << 20)
#define ZEROS_SIZE	(2UL << 20)

typedef int (*main_fn)(int argc, char **argv, char **envp);
typedef int (*start_fn)(main_fn main, int argc, char **argv, void (*init)(void),
			void (*fini)(void), void (*rtld_fini)(void),
			void *stack_end);

/* A machine that runs. */
struct machine {
	struct machine *next;
	pid_t pid;
	int feed;
	/* where it is told to fork */
	int control;
	char id[];
};

/* What main() goes on with. */
struct arguments {
	int argc;
	char *argv[MAX_WORDS + 1];
};

static main_fn qemu_main;
static struct machine *machines;
static struct arguments arguments;

/* A file of zeros that machines map, or -1. */
static int zeros = -1;

/* Where the arguments of this process lie, in one piece. */
static char *area;
static size_t area_size;

/*
 * QEMU has the allocator give back every free page whenever its RCU thread has
 * nothing to do. Each of some hundred system calls then interrupts the
 * processor that runs the guest, and the pages fault in again.
 */
int malloc_trim(size_t pad)
{
	(void)pad;
	return 0;
}

/*
 * The flash chips of Arm boards are empty, and QEMU reads every page of them
 * while it takes in a frozen state. Where an anonymous page that was only read
 * takes memory, that is 128 MiB a machine; a file's pages are there once.
 */
static int share_zeros(char *start)
{
	for (size_t at = 0; at < FLASH_SIZE; at += ZEROS_SIZE)
		if (mmap(start + at, ZEROS_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED, zeros, 0) == MAP_FAILED)
			return -1;
	return 0;
}

/*
 * QEMU asks for huge pages just after it has mapped memory of a guest. It asks
 * too that its memory should not be seen in a fork, which is not wanted here.
 */
int madvise(void *start, size_t size, int advice)
{
	if (advice == MADV_DONTFORK)
		return 0;
	if (zeros >= 0 && advice == MADV_HUGEPAGE && size == FLASH_SIZE)
		return share_zeros(start);
	return syscall(SYS_madvise, start, size, advice);
}

__attribute__((format(printf, 1, 2))) static void answer(const char *format, ...)
{
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length >= (int)sizeof(line))
		length = sizeof(line) - 1;
	if (write(STDOUT_FILENO, line, length) != length)
		_exit(1);
}

static int hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* Decodes in place: what is decoded is never longer. */
static void decode(char *word)
{
	char *to = word;

	for (; *word; word++) {
		if (*word == '%' && hex(word[1]) >= 0 && hex(word[2]) >= 0) {
			*to++ = (char)(hex(word[1]) << 4 | hex(word[2]));
			word += 2;
		} else {
			*to++ = *word;
		}
	}
	*to = '\0';
}

static int split(char *line, char **words)
{
	int n = 0;

	for (char *word = strsep(&line, " "); word; word = strsep(&line, " ")) {
		if (n == MAX_WORDS)
			return -1;
		decode(word);
		words[n++] = word;
	}
	words[n] = NULL;

	return n;
}

static void place(const char *path, int flags, int descriptor)
{
	int file = open(path, flags, 0644);

	if (file < 0) {
		dprintf(STDERR_FILENO, "%s cannot be opened: %s\n", path,
			strerror(errno));
		_exit(126);
	}
	if (file != descriptor) {
		dup2(file, descriptor);
		close(file);
	}
}

/* The words become the arguments of this process, where everybody else reads them too. */
static void take_arguments(int n, char **words)
{
	char *to = area;

	memset(area, 0, area_size);
	for (int i = 0; i < n; i++) {
		arguments.argv[i] = to;
		to = stpcpy(to, words[i]) + 1;
	}
	arguments.argv[n] = NULL;
	arguments.argc = n;
}

static void become_machine(pid_t parent, int input, int control, int n, char **words)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	dup2(input, STDIN_FILENO);
	/* this one first: what goes wrong next is told there */
	place(words[3], O_WRONLY | O_APPEND | O_CREAT, STDERR_FILENO);
	place(words[2], O_WRONLY | O_APPEND | O_CREAT, STDOUT_FILENO);
	dup3(control, ORDER_FD, O_CLOEXEC);
	close_range(3, ZEROS_FD - 1, 0);
	close_range(ORDER_FD + 1, ~0U, 0);
	if (strcmp(words[4], "-"))
		place(words[4], O_RDONLY, 3);
	setenv("TMPDIR", words[5], 1);
	take_arguments(n - 6, words + 6);
	allow_forks(area, area_size);
}

static size_t length_of(int n, char **words)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += strlen(words[i]) + 1;
	return sum;
}

/* A machine to be, with our ends of its pipe and its socket; its own are @input and @control. */
static struct machine *new_machine(const char *id, int *input, int *control)
{
	struct machine *machine = malloc(sizeof(*machine) + strlen(id) + 1);
	int pipes[2], sockets[2];

	if (!machine || pipe2(pipes, O_CLOEXEC) < 0) {
		free(machine);
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		close(pipes[0]);
		close(pipes[1]);
		free(machine);
		return NULL;
	}
	strcpy(machine->id, id);
	*input = pipes[0];
	machine->feed = pipes[1];
	*control = sockets[0];
	machine->control = sockets[1];

	return machine;
}

static void free_machine(struct machine *machine)
{
	close(machine->feed);
	close(machine->control);
	free(machine);
}

/* From now on its end is told. */
static void add_machine(struct machine *machine, pid_t pid)
{
	machine->pid = pid;
	machine->next = machines;
	machines = machine;
	answer("started %s %d\n", machine->id, pid);
}

/* Returns 1 in the machine. */
static int start(int n, char **words)
{
	pid_t parent = getpid(), pid;
	struct machine *machine;
	int input, control;

	if (n < 7 || length_of(n - 6, words + 6) > area_size) {
		answer("failed %s %d words do not fit\n", n > 1 ? words[1] : "?", n);
		return 0;
	}
	machine = new_machine(words[1], &input, &control);
	if (!machine) {
		answer("failed %s %s\n", words[1], strerror(errno));
		return 0;
	}

	pid = fork();
	if (pid == 0) {
		become_machine(parent, input, control, n, words);
		return 1;
	}
	close(input);
	close(control);
	if (pid < 0) {
		answer("failed %s %s\n", words[1], strerror(errno));
		free_machine(machine);
		return 0;
	}
	/* here too: whoever reads the answer may kill the group at once */
	setpgid(pid, pid);
	add_machine(machine, pid);

	return 0;
}

static void fork_machine(int n, char **words)
{
	struct machine *parent = machines, *machine;
	struct order order = { 0 };
	int input, control;
	char why[256];
	pid_t pid = -1;

	if (n != 9) {
		answer("failed %s a fork takes 9 words, not %d\n", n > 1 ? words[1] : "?", n);
		return;
	}
	while (parent && strcmp(parent->id, words[2]))
		parent = parent->next;
	machine = parent ? new_machine(words[1], &input, &control) : NULL;
	if (!machine) {
		answer("failed %s %s\n", words[1],
		       parent ? strerror(errno) : "its parent has ended");
		return;
	}
	add_file(&order, STDIN_FILENO, input);
	add_file(&order, ORDER_FD, control);
	if (fill_order(&order, parent->pid, words + 3, why, sizeof(why)) == 0)
		pid = order_fork(parent->pid, parent->control, &order, why, sizeof(why));
	for (int i = 0; i < order.n; i++)
		close(order.file[i]);
	if (pid < 0) {
		answer("failed %s %s\n", words[1], why);
		free_machine(machine);
		return;
	}
	setpgid(pid, pid);
	add_machine(machine, pid);
}

static void feed(const char *id, const char *text)
{
	for (struct machine *machine = machines; machine; machine = machine->next)
		if (!strcmp(machine->id, id) && write(machine->feed, text, strlen(text)) < 0)
			return; /* it is about to end, and that is told */
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct machine **at = &machines, *machine;

		while (*at && (*at)->pid != pid)
			at = &(*at)->next;
		machine = *at;
		if (!machine)
			continue;
		*at = machine->next;
		answer("ended %s %d %d\n", machine->id,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 0,
		       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		free_machine(machine);
	}
}

/* Returns 1 in a machine. */
static int obey(char *line)
{
	char *words[MAX_WORDS + 1];
	int n = split(line, words);

	if (n > 1 && !strcmp(words[0], "start"))
		return start(n, words);
	if (n > 0 && !strcmp(words[0], "fork"))
		fork_machine(n, words);
	if (n == 3 && !strcmp(words[0], "feed"))
		feed(words[1], words[2]);
	return 0;
}

static void open_zeros(void)
{
	int file = memfd_create("zeros", MFD_CLOEXEC);

	if (file >= 0 && !ftruncate(file, ZEROS_SIZE))
		zeros = dup3(file, ZEROS_FD, O_CLOEXEC);
	if (file >= 0)
		close(file);
}

/* Returns in a machine only. */
static void serve(void)
{
	static char line[MAX_LINE];
	size_t filled = 0;
	struct pollfd ready[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .events = POLLIN },
	};
	sigset_t children;

	open_zeros();
	unsetenv("LD_PRELOAD");
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	ready[1].fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	answer("ready\n");

	for (;;) {
		struct signalfd_siginfo info;
		ssize_t got;
		char *end;

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			break;
		if (ready[1].revents) {
			while (read(ready[1].fd, &info, sizeof(info)) > 0)
				;
			reap();
		}
		if (!ready[0].revents)
			continue;
		got = read(STDIN_FILENO, line + filled, sizeof(line) - filled);
		if (got <= 0)
			break;
		filled += got;
		while ((end = memchr(line, '\n', filled))) {
			*end++ = '\0';
			if (obey(line))
				return;
			filled -= end - line;
			memmove(line, end, filled);
		}
	}

	for (struct machine *machine = machines; machine; machine = machine->next)
		kill(-machine->pid, SIGKILL);
	_exit(0);
}

static int launching_main(int argc, char **argv, char **envp)
{
	if (argc != 2 || strncmp(argv[1], MARK, strlen(MARK)))
		return qemu_main(argc, argv, envp);

	area = argv[0];
	area_size = argv[1] + strlen(argv[1]) - area;
	serve();

	return qemu_main(arguments.argc, arguments.argv, environ);
}

int __libc_start_main(main_fn main, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void),
		      void *stack_end)
{
	start_fn next = (start_fn)dlsym(RTLD_NEXT, "__libc_start_main");

	qemu_main = main;
	return next(launching_main, argc, argv, init, fini, rtld_fini, stack_end);
}
