/* SPDX-License-Identifier: MIT */
/* Two devices to print, and what was printed. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clean.h"
#include "device_fields.h"
#include "value.h"

static struct ub_dev_detail devs[2]; /* one of ours, one of another program */

static inline void set_option(struct ub_spec *spec, const char *name, const char *value)
{
	const struct ub_opt *opt = spec->target->options;

	while (strcmp(opt->name, name) != 0)
		opt++;
	if (ub_opt_store(opt, value, spec->target_args, NULL) != 0)
		abort();
}

static inline void fill_ours(struct ub_dev_detail *detail)
{
	static struct ub_user users[] = {
		{.kind = UB_USER_MOUNT, .device = "ublkb0p1", .what = "/mnt/a b"},
		{.kind = UB_USER_OPENER, .device = "ublkb0", .what = "fio", .pid = 77},
	};
	struct ub_dev *dev = &detail->dev;
	struct ub_spec *spec = &dev->record.spec;

	dev->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = 2,
		.queue_depth = 128,
		.state = UBLK_S_DEV_LIVE,
		.max_io_buf_bytes = 512 << 10,
		.flags = UBLK_F_USER_RECOVERY | UBLK_F_CMD_IOCTL_ENCODE | 1ULL << 40,
	};
	dev->params.types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD;
	dev->params.basic = (struct ublk_param_basic){
		.attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA,
		.logical_bs_shift = 9,
		.physical_bs_shift = 12,
		.max_sectors = 1024,
		.dev_sectors = 2 << 20,
	};
	dev->managed = true;
	dev->server = (struct ub_served_by){.answer = UB_SERVED_YES, .pid = 812};
	dev->size = 1 << 30;
	ub_spec_init(spec);
	(void)ub_spec_set_target(spec, ub_target_find("loop"));
	set_option(spec, "file", "/srv/a\n\xff.img");
	set_option(spec, "direct", "on");
	spec->queues = 8;
	spec->recovery = UB_RECOVERY_REQUEUE;
	spec->name = strdup("vol/\"1\"");
	(void)snprintf(dev->record.version, sizeof(dev->record.version), "0.1.0");
	dev->record.threads = 2;
	dev->record.memory.planned = true;
	dev->record.data_path = UB_PATH_COPY;
	dev->record.backings.count = 1;
	dev->record.backings.at[0].path = strdup("/srv/a\n\xff.img");
	dev->record.backings.at[0].real = strdup("/data/a.img");
	dev->record.backings.at[0].handle = strdup("1:0c000000");
	dev->record.backings.at[0].length = 1 << 30;
	ub_note(&dev->record.notes, "8 queues asked for, 2 granted");
	detail->group = (char *)"/system.slice/ublk-1-2.scope";
	detail->users = (struct ub_users){.list = users, .count = 2};
}

static inline void fill_theirs(struct ub_dev_detail *detail)
{
	struct ub_dev *dev = &detail->dev;

	dev->id = 7;
	dev->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = 1,
		.queue_depth = 64,
		.state = UBLK_S_DEV_DEAD,
		.dev_id = 7,
		.max_io_buf_bytes = 1 << 20,
		.owner_uid = 1000,
	};
	(void)ub_fail_text(&dev->record_error, UB_STAGE_RECORD, -EBADMSG, "it is not JSON");
}

static inline int setup(void **state)
{
	(void)state;
	memset(devs, 0, sizeof(devs));
	for (size_t i = 0; i < UB_ARRAY_SIZE(devs); i++)
		ub_spec_init(&devs[i].defaults);
	fill_ours(&devs[0]);
	fill_theirs(&devs[1]);
	for (size_t i = 0; i < UB_ARRAY_SIZE(devs); i++)
		ub_device_health(&devs[i].dev, devs[i].status, sizeof(devs[i].status),
				 devs[i].action, sizeof(devs[i].action));
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	ub_spec_done(&devs[0].dev.record.spec);
	ub_backings_done(&devs[0].dev.record.backings);
	return 0;
}

/* Collects what is printed. */
static char *printed;
static size_t printed_size;

static inline FILE *start(void)
{
	free(printed);
	printed = NULL;
	return open_memstream(&printed, &printed_size);
}

static inline void has(const char *text)
{
	if (!strstr(printed, text))
		fail_msg("no '%s' in:\n%s", text, printed);
}

static inline void has_not(const char *text)
{
	if (strstr(printed, text))
		fail_msg("'%s' in:\n%s", text, printed);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
