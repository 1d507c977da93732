/* SPDX-License-Identifier: MIT */
/*
 * What is counted of a device's I/O, as it lies in memory and in the file N.stats beside the record: a
 * head, and a block for each thread that serves. A block is written by its thread alone, one aligned
 * number at a time with an ordinary store, and read by anybody, so no number is ever seen half-written;
 * numbers that belong together may be seen some I/Os apart. Knows nobody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Places in a block, by UBLK_IO_OP_*; what the driver has besides is counted at the fifth. */
enum ub_stats_op_kind {
	UB_STATS_READ,
	UB_STATS_WRITE,
	UB_STATS_FLUSH,
	UB_STATS_DISCARD,
	UB_STATS_UNKNOWN,
	UB_STATS_WRITE_ZEROES,
	UB_STATS_OPS
};

struct ub_stats_op {
	uint64_t begun;  /* I/Os that came */
	uint64_t ended;  /* of them, errors included */
	uint64_t bytes;  /* of those that succeeded */
	uint64_t errors; /* those that failed */
	uint64_t most;   /* the longest time of one, in units; of some times it is not taken */
	uint64_t unused[3];
};

/*
 * Times are counted in units, by buckets: each power of two from 16 units on is cut into 16. So the middle
 * of a bucket is off by 1/32 at the most, above half a microsecond, and what took longer than four seconds
 * counts as that.
 */
#define UB_STATS_UNIT_NS 32U
#define UB_STATS_BUCKETS 384U
#define UB_STATS_UNITS_MAX ((UINT64_C(1) << 27) - 1)

/* Of UB_STATS_UNITS_MAX at the most. */
static inline unsigned ub_stats_bucket_below(uint32_t units)
{
	unsigned shift = 27U - (unsigned)__builtin_clz(units | 16);

	return (shift << 4) + (units >> shift);
}

static inline unsigned ub_stats_bucket(uint64_t units)
{
	return ub_stats_bucket_below(
		(uint32_t)(units < UB_STATS_UNITS_MAX ? units : UB_STATS_UNITS_MAX));
}

/* Of reads or writes, with their times. */
struct ub_stats_rw {
	struct ub_stats_op op;
	uint64_t times[UB_STATS_BUCKETS];
};

/* The times of a read's or write's numbers. */
static inline uint64_t *ub_stats_times(struct ub_stats_op *op)
{
	return ((struct ub_stats_rw *)op)->times;
}

/* Of I/Os that are in hand for too long (--stall-sec). Alone of all it is written by the server's main thread,
 * and says nothing when that has gone. */
struct ub_stats_stall {
	uint64_t ios;      /* so many; 0: none is */
	uint64_t op;       /* of one of them: enum ub_stats_op_kind */
	uint64_t since_ms; /* on the clock of ub_now_ms(): when the first came, or later */
	uint64_t unused;
};

/* Of one thread. */
struct ub_stats {
	struct ub_stats_rw rw[UB_STATS_WRITE + 1];
	struct ub_stats_op other[UB_STATS_OPS - UB_STATS_FLUSH];
	uint32_t other_times
		[UB_STATS_BUCKETS]; /* of all of them; each stops at its largest number */
	struct ub_stats_stall stall;
	uint64_t unused[12];
};

_Static_assert(sizeof(struct ub_stats_op) == 64, "an operation's numbers are a cache line");
_Static_assert(sizeof(struct ub_stats) == 8192, "memory/layout.h leaves it this room");

static inline struct ub_stats_op *ub_stats_op(struct ub_stats *stats, unsigned kind)
{
	return kind <= UB_STATS_WRITE ? &stats->rw[kind].op : &stats->other[kind - UB_STATS_FLUSH];
}

/* The file's beginning, a page. Blocks follow. */
#define UB_STATS_MAGIC "ublkstat"
#define UB_STATS_FORMAT 1U
struct ub_stats_head {
	char magic[8];
	uint32_t format;
	uint32_t id;                     /* of the device, */
	uint64_t token;                  /* and what its record has */
	uint64_t since;                  /* seconds since 1970: when counting began */
	uint32_t queues, threads, share; /* as struct ub_layout has them */
	uint32_t blocks;
	uint64_t first, stride; /* where the first one is, and from one to the next; bytes */
};

/* Bytes of the file. */
static inline uint64_t ub_stats_size(const struct ub_stats_head *head)
{
	return head->first + head->blocks * head->stride;
}

/* One number of a block that another process may be writing. */
static inline uint64_t ub_stats_get(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static inline void ub_stats_set(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

/* One instruction, where the compiler makes three of an atomic load and store. */
static inline void ub_stats_add(uint64_t *number, uint64_t value)
{
#ifdef __x86_64__
	__asm__("addq %1, %0" : "+m"(*number) : "er"(value) : "cc");
#else
	ub_stats_set(number, *number + value);
#endif
}

static inline void ub_stats_add_small(uint32_t *number, uint64_t value)
{
	uint64_t sum = *number + value;

	__atomic_store_n(number, sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum, __ATOMIC_RELAXED);
}
