// SPDX-License-Identifier: GPL-2.0
/*
 * KCOV: which blocks of the module a program reached. The trace buffers belong to
 * the batch and are lent to one process after the other. Numbers are relative to
 * the module, so that what two machines saw can be put together.
 */
#include "session.h"

#include <fcntl.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENTRIES		(32u << 10)
#define EDGE_BITS	0x40000u
#define BLOCK_BITS	0x200000u

static struct {
	int fd;
	unsigned long *area;
} traces[THREADS];

/* What is known, as it is stored. */
static struct {
	uint8_t edges[EDGE_BITS / 8];
	uint8_t blocks[BLOCK_BITS / 8];
} seen;

static unsigned long text;

static bool read_text_address(void)
{
	FILE *file = fopen("/sys/module/kdbus/sections/.text", "r");
	bool good = file && fscanf(file, "0x%lx", &text) == 1;

	if (file)
		fclose(file);
	return good;
}

bool coverage_open(void)
{
	if (!read_text_address())
		return false;
	for (int i = 0; i < THREADS; i++) {
		int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
		void *area;

		if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, (unsigned long)ENTRIES) < 0)
			return false;
		area = mmap(NULL, ENTRIES * sizeof(unsigned long), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (area == MAP_FAILED)
			return false;
		traces[i].fd = fd;
		traces[i].area = area;
	}
	return true;
}

void coverage_reset(void)
{
	for (int i = 0; i < THREADS; i++)
		if (traces[i].area)
			traces[i].area[0] = 0;
}

void coverage_thread(unsigned int thread)
{
	if (traces[thread].area)
		ioctl(traces[thread].fd, KCOV_ENABLE, (unsigned long)KCOV_TRACE_PC);
}

static bool set_bit(uint8_t *bits, uint32_t n)
{
	uint8_t bit = (uint8_t)(1u << (n % 8));
	bool fresh = !(bits[n / 8] & bit);

	bits[n / 8] |= bit;
	return fresh;
}

unsigned int coverage_merge(void)
{
	unsigned int fresh = 0;

	for (int i = 0; i < THREADS; i++) {
		unsigned long count = traces[i].area ? traces[i].area[0] : 0, before = 0;

		for (unsigned long n = 1; n <= count && n < ENTRIES; n++) {
			unsigned long block = traces[i].area[n] - text;
			uint64_t edge = rng_mix(before * 0x9e3779b97f4a7c15ULL + block);

			set_bit(seen.blocks, (uint32_t)(block % BLOCK_BITS));
			fresh += set_bit(seen.edges, (uint32_t)(edge % EDGE_BITS));
			before = block;
		}
	}
	return fresh;
}

void coverage_load(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return;
	if (read(fd, &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
		memset(&seen, 0, sizeof(seen));
	close(fd);
}

void coverage_store(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		return;
	if (write(fd, &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
		perror(path);
	close(fd);
}

static unsigned int ones(const uint8_t *bits, size_t bytes)
{
	unsigned int count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += (unsigned int)__builtin_popcount(bits[i]);
	return count;
}

void coverage_count(unsigned int *edges, unsigned int *blocks)
{
	*edges = ones(seen.edges, sizeof(seen.edges));
	*blocks = ones(seen.blocks, sizeof(seen.blocks));
}
