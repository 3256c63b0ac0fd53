// SPDX-License-Identifier: GPL-2.0
/* Steps on memory and buffers. A fault in any of them is caught in program.c. */
#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALLOC_GUARD_AFTER	1u	/* the byte behind the end is not mapped */
#define ALLOC_GUARD_BEFORE	2u	/* nor the one before the start */
#define ALLOC_SHARED		4u
#define ALLOC_POPULATE		8u
#define ALLOC_NORESERVE		16u

static struct area kept[MAX_KEPT];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

struct area *area_of(struct run *run, uint16_t index)
{
	if (index & KEPT)
		return (index ^ KEPT) < MAX_KEPT ? &kept[index ^ KEPT] : NULL;
	return index < MAX_LOCAL ? &run->local[index] : NULL;
}

static void area_free(struct area *area)
{
	if (area->map)
		munmap(area->map, area->map_len);
	*area = (struct area){ 0 };
}

void areas_free(struct run *run)
{
	for (uint32_t i = 0; i < MAX_LOCAL; i++)
		area_free(&run->local[i]);
}

static struct area *target(struct run *run, const struct step *step)
{
	struct area *area = step->operand[0].kind == OPD_BUF ? area_of(run, step->operand[0].index) : NULL;

	if (!area)
		run_end(run, RUN_BAD, EBADSLT);
	return area;
}

static void replace(struct area *area, struct area fresh)
{
	pthread_mutex_lock(&kept_lock);
	area_free(area);
	*area = fresh;
	pthread_mutex_unlock(&kept_lock);
}

static void alloc(struct run *run, const struct step *step)
{
	struct area *area = target(run, step), fresh;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (size_t)operand_value(run, step, 1), align = (size_t)operand_value(run, step, 2);
	uint64_t flags = operand_value(run, step, 3);
	size_t body = (size + page - 1) & ~(page - 1);
	uint8_t *map;

	if (!body)
		body = page;
	if (!area || body < size || (align & (align - 1)) || align > page) {
		run_end(run, RUN_BAD, EINVAL);
		return;
	}
	/* a guard page on either side, always mapped, opened to nobody */
	map = mmap(NULL, body + 2 * page, PROT_NONE,
		   (flags & ALLOC_SHARED ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS |
		   (flags & ALLOC_NORESERVE ? MAP_NORESERVE : 0), -1, 0);
	if (map == MAP_FAILED ||
	    mprotect(map + page, body, PROT_READ | PROT_WRITE) < 0) {
		run_end(run, RUN_BAD, (uint32_t)errno);
		return;
	}
	fresh = (struct area){ .map = map, .map_len = body + 2 * page, .addr = map + page, .size = size };
	if (flags & ALLOC_GUARD_AFTER && !(flags & ALLOC_GUARD_BEFORE))
		fresh.addr += align ? (body - size) & ~(align - 1) : body - size;
	if (flags & ALLOC_POPULATE)
		memset(fresh.addr, 0, size);
	replace(area, fresh);
}

static void map(struct run *run, const struct step *step)
{
	struct area *area = target(run, step);
	int fd = (int)operand_value(run, step, 1);
	off_t offset = (off_t)operand_value(run, step, 2);
	size_t size = (size_t)operand_value(run, step, 3);
	int prot = (int)operand_value(run, step, 4), flags = (int)operand_value(run, step, 5);
	void *at;

	if (!area)
		return;
	at = mmap(NULL, size, prot, flags, fd, offset);
	if (at == MAP_FAILED) {
		run_outcome(run, step, 6, -1, errno);
		return;
	}
	replace(area, (struct area){ .map = at, .map_len = size, .addr = at, .size = size });
	run_outcome(run, step, 6, (int64_t)(uintptr_t)at, 0);
}

/* One access of the given width where it is aligned, so that others never see halves. */
static void store(void *to, uint64_t value, uint64_t width)
{
	if (width == 8 && !((uintptr_t)to & 7))
		__atomic_store_n((uint64_t *)to, value, __ATOMIC_RELEASE);
	else if (width == 4 && !((uintptr_t)to & 3))
		__atomic_store_n((uint32_t *)to, (uint32_t)value, __ATOMIC_RELEASE);
	else
		memcpy(to, &value, (size_t)width);
}

static uint64_t load(const void *from, uint64_t width)
{
	uint64_t value = 0;

	if (width == 8 && !((uintptr_t)from & 7))
		return __atomic_load_n((const uint64_t *)from, __ATOMIC_ACQUIRE);
	if (width == 4 && !((uintptr_t)from & 3))
		return __atomic_load_n((const uint32_t *)from, __ATOMIC_ACQUIRE);
	memcpy(&value, from, (size_t)width);
	return value;
}

static bool good_width(struct run *run, uint64_t width)
{
	if (width == 1 || width == 2 || width == 4 || width == 8)
		return true;
	run_end(run, RUN_BAD, EINVAL);
	return false;
}

static uint64_t difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return i;
	return UINT64_MAX;
}

bool op_memory(struct run *run, const struct step *step)
{
	void *address, *other;
	struct area *area;
	uint64_t value;

	switch (step->op) {
	case OP_ALLOC:
		alloc(run, step);
		return true;
	case OP_MAP:
		map(run, step);
		return true;
	case OP_FREE:
		area = target(run, step);
		if (area)
			replace(area, (struct area){ 0 });
		return true;
	default:
		break;
	}
	if (step->op < OP_WRITE || (step->op > OP_LOAD && step->op != OP_READ && step->op != OP_ADD_MEM &&
				    step->op != OP_COMPARE && step->op != OP_CRC))
		return false;
	address = operand_address(run, step, step->op == OP_LOAD ? 1 : 0);
	other = operand_address(run, step, step->op == OP_LOAD ? 0 : 1);
	value = operand_value(run, step, 2);
	if (run->next == UINT32_MAX)
		return true; /* a buffer that does not exist */
	switch (step->op) {
	case OP_WRITE:
	case OP_COPY:
		memmove(address, other, (size_t)value);
		break;
	case OP_FILL:
		memset(address, (int)(uintptr_t)other & 0xff, (size_t)value);
		break;
	case OP_STORE:
		if (good_width(run, value))
			store(address, operand_value(run, step, 1), value);
		break;
	case OP_LOAD:
		if (good_width(run, value))
			operand_result(run, step, 0, load(address, value));
		break;
	case OP_READ:
		run_record(run, RECORD_READ, address, (size_t)operand_value(run, step, 1));
		break;
	case OP_ADD_MEM:
		value = __atomic_fetch_add((uint64_t *)address, operand_value(run, step, 1), __ATOMIC_ACQ_REL);
		operand_result(run, step, 2, value);
		break;
	case OP_COMPARE:
		operand_result(run, step, 3, difference(address, other, (size_t)value));
		break;
	default: /* OP_CRC */
		value = crc32_of(0, address, (size_t)operand_value(run, step, 1));
		operand_result(run, step, 2, value);
	}
	return true;
}
