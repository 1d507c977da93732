/* SPDX-License-Identifier: MIT */
/* What the tests of the loop target's I/O share: a file that a device serves, for each test. */
#pragma once

#include "target_queue.h"

#include <linux/falloc.h>

#include "target/loop.h"

#define SIZE (8U << 20)
#define OFFSET 4096U /* of the device in the file */
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_RANGE (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)
#define FUA UBLK_IO_F_FUA

static struct opened o;
static struct ub_queue q;

static inline int setup(void **state)
{
	(void)state;
	make_file("image", SIZE + OFFSET);
	prepare(&o, "loop", "image");
	set_size(&o, "offset", OFFSET);
	*(int *)arg(&o, "direct") = 0;
	must_open(&o);
	queue_init(&q, &o.tgt);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	queue_done(&q);
	finish(&o);
	return unlink("image");
}

static inline int read_back(uint64_t offset, uint32_t len)
{
	memset(q.data, 0xee, len);
	return run(&q, UBLK_IO_OP_READ, offset, len, 0);
}

static inline int write_pattern(uint64_t offset, uint32_t len, unsigned seed, uint32_t flags)
{
	fill(q.data, len, seed);
	return run(&q, UBLK_IO_OP_WRITE, offset, len, flags);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
