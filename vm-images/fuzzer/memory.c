// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that the kernel is given: plain, at the edge of nothing, changed while
 * it is read, held back by userfaultfd, cut off.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ZONE_BYTES	(2UL << 20)
#define SMALL_BYTES	(16 * PAGE)
#define CALL_PAGES	4
#define RACES		8

static uint8_t *zones[ZONE_COUNT];
static uint8_t *calls;
static uint8_t *shared_calls;
static int shared_fd = -1;
static int held_fd = -1;
static struct {
	atomic_uintptr_t at;
	uint64_t values[2];
} races[RACES];
static atomic_uint race_count;
/* What belongs on the held pages of split data. */
static uint8_t rest[MAX_CALLS][PAGE];

static uint8_t *map(size_t bytes, int protection)
{
	void *at = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* The target may have been unmapped or cut off by the program itself. */
static void copy_out(uint8_t *to, const uint8_t *from, size_t bytes)
{
	struct iovec local = { (void *)(uintptr_t)from, bytes }, remote = { to, bytes };

	if (bytes)
		process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static bool uses(const struct program *program, uint8_t place, uint8_t zone)
{
	for (uint16_t i = 0; i < program->calls; i++) {
		if (program->call[i].place == place)
			return true;
		for (int n = 0; n < program->call[i].patches; n++)
			if (program->call[i].patch[n].kind == PATCH_ZONE && program->call[i].patch[n].slot == zone)
				return true;
	}
	return false;
}

static bool hold(uint8_t *at, size_t bytes)
{
	struct uffdio_register range = { .range = { (uintptr_t)at, bytes }, .mode = UFFDIO_REGISTER_MODE_MISSING };

	return held_fd >= 0 && ioctl(held_fd, UFFDIO_REGISTER, &range) == 0;
}

void memory_init(const struct program *program)
{
	struct uffdio_api api = { .api = UFFD_API };

	calls = map(MAX_CALLS * CALL_PAGES * PAGE, PROT_READ | PROT_WRITE);
	zones[ZONE_PLAIN] = map(ZONE_BYTES, PROT_READ | PROT_WRITE);
	zones[ZONE_RACE] = zones[ZONE_PLAIN] + ZONE_BYTES - SMALL_BYTES;
	zones[ZONE_HELD] = map(SMALL_BYTES, PROT_READ | PROT_WRITE);
	zones[ZONE_NONE] = map(SMALL_BYTES, PROT_NONE);
	zones[ZONE_HOLE] = map(SMALL_BYTES, PROT_NONE);
	munmap(zones[ZONE_HOLE], SMALL_BYTES);
	zones[ZONE_KERNEL] = (uint8_t *)(uintptr_t)(sizeof(long) == 8 ? 0xffff888000001000ULL : 0xc0001000ULL);
	if (uses(program, PLACE_SHARED, ZONE_SHARED)) {
		shared_fd = (int)syscall(SYS_memfd_create, "fuzz", 1u);
		if (shared_fd >= 0 && ftruncate(shared_fd, SMALL_BYTES) == 0) {
			void *at = mmap(NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);

			zones[ZONE_SHARED] = at == MAP_FAILED ? NULL : at;
			shared_calls = zones[ZONE_SHARED];
		}
	}
	if (uses(program, PLACE_SPLIT, ZONE_HELD)) {
		held_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (held_fd >= 0 && ioctl(held_fd, UFFDIO_API, &api) == 0)
			hold(zones[ZONE_HELD], SMALL_BYTES);
	}
}

uint64_t memory_zone(uint8_t zone, int32_t add)
{
	return (uint64_t)(uintptr_t)zones[zone % ZONE_COUNT] + (uint64_t)(int64_t)add;
}

static void race_add(uint8_t *word, uint64_t other)
{
	unsigned int n = atomic_fetch_add(&race_count, 1) % RACES;

	races[n].values[0] = *(uint64_t *)(void *)word;
	races[n].values[1] = other;
	atomic_store(&races[n].at, (uintptr_t)word);
}

/* All but the end of the data is on a page that is there. */
static uint8_t *place_split(uint16_t index, const struct call *call, const uint8_t *data)
{
	uint8_t *page = calls + index * CALL_PAGES * PAGE + 2 * PAGE;
	size_t room = (size_t)(call->bytes & ~7u);
	size_t cut = room <= 16 ? 8 : 8 + 8 * ((size_t)call->arg[3] * 5 % (room / 8 - 1));

	if (cut > call->bytes || call->bytes - cut > PAGE || cut > PAGE || !hold(page, PAGE))
		return NULL;
	memcpy(rest[index], data + cut, call->bytes - cut);
	copy_out(page - cut, data, cut);
	return page - cut;
}

uint8_t *memory_place(uint16_t index, const struct call *call, const uint8_t *data)
{
	static const uint64_t bad[] = { 0, 8, 0xfffffffffffffff8, 0xffff888000000000, 0x7ffffffff000,
		0x4141414141414141 };
	uint8_t *at = calls + index * CALL_PAGES * PAGE;
	size_t words = call->bytes / 8u;

	switch (call->place) {
	case PLACE_EDGE:
		mprotect(at + 2 * PAGE, PAGE, PROT_NONE);
		at += 2 * PAGE - ((call->bytes + 7ul) & ~7ul);
		break;
	case PLACE_SPLIT:
		if (call->bytes > 8 && held_fd >= 0) {
			uint8_t *split = place_split(index, call, data);

			if (split)
				return split;
		}
		break;
	case PLACE_UNALIGNED:
		at += 1 + call->arg[3] % 7;
		break;
	case PLACE_SHARED:
		if (shared_calls)
			at = shared_calls + (index % 4) * PAGE;
		break;
	case PLACE_BAD:
		return (uint8_t *)(uintptr_t)bad[call->arg[3] % ARRAY_SIZE(bad)];
	}
	copy_out(at, data, call->bytes);
	if (call->place == PLACE_RACE && words)
		race_add(at + 8 * (call->arg[3] % words), rng_mix(call->arg[2]) >> (call->arg[2] % 64));
	if (call->place == PLACE_READONLY)
		mprotect(at, PAGE, PROT_READ);
	return at;
}

void memory_forget(uint16_t index, uint32_t how)
{
	uint8_t *at = calls + (index % MAX_CALLS) * CALL_PAGES * PAGE;

	switch (how % 4) {
	case 0:
		munmap(at, PAGE);
		break;
	case 1:
		mprotect(at, 2 * PAGE, PROT_NONE);
		break;
	case 2:
		madvise(at, 3 * PAGE, MADV_DONTNEED);
		break;
	case 3:
		if (shared_fd >= 0)
			ftruncate(shared_fd, 0);
		break;
	}
}

static void *racer(void *unused)
{
	(void)unused;
	for (unsigned int turn = 0;; turn++) {
		for (int i = 0; i < RACES; i++) {
			uint64_t *at = (uint64_t *)atomic_load(&races[i].at);

			if (at)
				__atomic_store_n(at, races[i].values[turn & 1], __ATOMIC_RELAXED);
		}
		if (zones[ZONE_RACE])
			zones[ZONE_RACE][turn % SMALL_BYTES]++;
		if (shared_fd >= 0 && turn % 512 == 511)
			ftruncate(shared_fd, turn & 512 ? 0 : (off_t)SMALL_BYTES);
		if (turn % 64 == 63)
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	return NULL;
}

/* What becomes of a fault that the kernel waits for. */
static void release(uint8_t *page)
{
	uint8_t content[PAGE];
	uint16_t index = (uint16_t)((size_t)(page - calls) / (CALL_PAGES * PAGE));
	bool of_call = page >= calls && index < session.program->calls;
	uint32_t how = of_call ? session.program->call[index].arg[2] : (uint32_t)((uintptr_t)page / PAGE);
	struct uffdio_copy copy = { .dst = (uintptr_t)page, .src = (uintptr_t)content, .len = PAGE };
	struct uffdio_range range = { .start = (uintptr_t)page, .len = PAGE };
	uint64_t *before = (uint64_t *)(void *)(page - 8);
	int fd;

	atomic_fetch_add(&session.tally->held_faults, 1);
	if (of_call)
		memcpy(content, rest[index], sizeof(content));
	else
		memset(content, 0, sizeof(content));
	switch (how % 8) {
	case 0: /* what was read already is changed */
		if (of_call)
			*before = rng_mix(how) >> (how % 64);
		break;
	case 1:
		if (of_call)
			before[-(long)(how / 8 % 4)] ^= 1ULL << (how / 32 % 64);
		break;
	case 2: /* for as long as the process lives */
		return;
	case 3:
		fd = atomic_exchange(&session.slot[how / 8 % SLOTS].fd, -1);
		if (fd >= 0)
			close(fd);
		break;
	case 4:
		munmap(page, PAGE);
		ioctl(held_fd, UFFDIO_WAKE, &range);
		return;
	case 5:
		memset(content, 0xff, sizeof(content));
		break;
	case 6:
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		break;
	}
	if (ioctl(held_fd, UFFDIO_COPY, &copy) < 0)
		ioctl(held_fd, UFFDIO_WAKE, &range);
}

static void *holder(void *unused)
{
	struct uffd_msg message;

	(void)unused;
	fcntl(held_fd, F_SETFL, 0);
	while (read(held_fd, &message, sizeof(message)) == (ssize_t)sizeof(message))
		if (message.event == UFFD_EVENT_PAGEFAULT)
			release((uint8_t *)(uintptr_t)(message.arg.pagefault.address & ~(PAGE - 1)));
	return NULL;
}

void memory_threads(const struct program *program)
{
	pthread_t thread;

	if (uses(program, PLACE_RACE, ZONE_RACE) || shared_fd >= 0)
		pthread_create(&thread, NULL, racer, NULL);
	if (held_fd >= 0)
		pthread_create(&thread, NULL, holder, NULL);
}
