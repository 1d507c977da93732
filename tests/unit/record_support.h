/* SPDX-License-Identifier: MIT */
/* A record to try things with. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "record/record.h"

/* Not UTF-8, and all that JSON or a shell could stumble over. */
#define ODD_PATH "/srv/\xff\xfe\xc3(\n\t\"\\'/ \x01\x7f\xc3\xbc.img"
#define TOKEN 0xfedcba9876543210ULL

static inline void set_string(struct ub_spec *spec, const char *option, const char *text)
{
	for (const struct ub_opt *opt = spec->target->options; opt->name; opt++) {
		char **field = (void *)((char *)spec->target_args + opt->offset);

		if (strcmp(opt->name, option) != 0)
			continue;
		free(*field);
		*field = strdup(text);
		return;
	}
	fail_msg("no option %s", option);
}

/* Every number another one. */
static inline void fill_memory(struct ub_record_memory *m)
{
	uint64_t next = 0x7000;

	m->base = UINT64_MAX - 4095;
	m->layout.stride = next++;
	m->target_base = next++;
	m->target_size = INT64_MAX;
	for (unsigned part = 0; part < UB_PART_COUNT; part++) {
		m->layout.offset[part] = next++;
		m->layout.size[part] = next++;
	}
	m->planned = true;
	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++) {
		struct ub_plan_region *r = &m->plan[kind];

		r->mapped = next++;
		r->start = next++;
		r->most = next++;
		r->locked = next++;
		r->pinned = next++;
		r->charged = next++;
	}
}

/* As a loop device's server would write it. */
static inline struct ub_record make_record(uint32_t id, const char *path)
{
	struct ub_record r = {
		.version = "0.1.0",
		.id = id,
		.token = TOKEN,
		.queues = 4,
		.depth = 64,
		.max_io = 1 << 20,
		.flags = 0x2c85b,
		.data_path = UB_PATH_COPY,
		.pid = 812,
		.start_time = UINT64_MAX,
		.threads = 4,
		.taking_over = true,
		.backings =
			{
				.count = 1,
				.at[0] =
					{
						.path = strdup(path),
						.dev = UINT64_MAX,
						.ino = UINT64_MAX - 1,
						.rdev = 0,
						.size = INT64_MAX,
						.writable = true,
					},
			},
		.write_error = -5,
	};

	fill_memory(&r.memory);
	ub_spec_init(&r.spec);
	assert_int_equal(ub_spec_set_target(&r.spec, ub_target_find("loop")), 0);
	set_string(&r.spec, "file", path);
	r.spec.name = strdup("disk");
	r.spec.queues = 4;
	r.spec.recovery = UB_RECOVERY_REQUEUE;
	r.spec.read_only = true;
	r.spec.no_wait = true;
	r.spec.timeout_s = 7;
	ub_note(&r.notes, "rounded");
	ub_note(&r.notes, "odd \xff bytes");
	return r;
}
