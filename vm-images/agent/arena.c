// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "arena.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

uint8_t *arena;
int arena_fd = -1;

int arena_create(void)
{
	int fd = memfd_create("buslab-arena", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, ARENA_SIZE) < 0)
		return -1;
	return arena_adopt(fd);
}

int arena_adopt(int fd)
{
	void *map = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -1;
	arena = map;
	arena_fd = fd;
	return 0;
}

static struct slot *slots(void)
{
	return (struct slot *)(void *)arena;
}

/* Never NULL: when the table is full the thread goes unseen. */
struct slot *slot_claim(uint32_t peer, uint32_t thread)
{
	static __thread struct slot unseen;

	for (size_t i = 0; i < ARENA_SLOTS; i++) {
		struct slot *slot = slots() + i;
		uint32_t none = 0;

		if (!__atomic_compare_exchange_n(&slot->peer, &none, peer, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		slot->thread = thread;
		slot->running = 0;
		slot->executed = 0;
		slot->tid = (uint32_t)syscall(SYS_gettid);
		return slot;
	}
	return &unseen;
}

void slot_release(struct slot *slot)
{
	slot->tid = 0;
	__atomic_store_n(&slot->peer, 0, __ATOMIC_RELEASE);
}

struct slot *slot_find(uint32_t peer, uint32_t thread)
{
	for (size_t i = 0; i < ARENA_SLOTS; i++)
		if (slots()[i].peer == peer && slots()[i].thread == thread && slots()[i].tid)
			return slots() + i;
	return NULL;
}

void slots_clear(uint32_t peer)
{
	for (size_t i = 0; i < ARENA_SLOTS; i++)
		if (slots()[i].peer == peer)
			slot_release(slots() + i);
}
