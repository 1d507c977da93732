/* SPDX-License-Identifier: MIT */
#include "spec/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "kernel/node.h"
#include "spec/data_path.h"

#define NAME_LENGTH_MAX 64
/* Layers may keep a request for so long in all. An ordinary user's server is killed by the driver when it does not
 * answer for 30 s (ublk_timeout()). */
#define PATIENCE_MS 120000U
#define USER_PATIENCE_MS 20000U

/* NAME-partN is the link of a partition in /dev/disk/by-ublk. */
static bool is_partition_name(const char *name)
{
	const char *digits = name + strlen(name);

	while (digits > name && strchr("0123456789", digits[-1]))
		digits--;
	return *digits && digits - name >= 5 && strncmp(digits - 5, "-part", 5) == 0;
}

int ub_spec_check_name(const char *name, struct ub_error *err)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789_.+-";
	size_t len = strlen(name);
	uint32_t id;

	if (len == 0 || len > NAME_LENGTH_MAX)
		return ub_fail_usage(err, "--name takes 1 to %d characters", NAME_LENGTH_MAX);
	if (name[0] == '-' || name[0] == '.' || strspn(name, good) != len)
		return ub_fail_usage(err, "--name takes letters, digits and _ . + -, "
					  "and no . or - at the start");
	if (ub_parse_dev_id(name, &id) == 0 || strspn(name, "0123456789") == len)
		return ub_fail_usage(err, "--name %s would be taken for a device's number", name);
	if (is_partition_name(name))
		return ub_fail_usage(err, "--name %s would be taken for a partition of a device",
				     name);
	return 0;
}

static int check_scheduler(const char *name, struct ub_error *err)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t len = strlen(name);

	if (len == 0 || len > UB_SCHEDULER_MAX || strspn(name, good) != len)
		return ub_fail_usage(err, "--scheduler takes 1 to %d of a-z, 0-9, _ and -",
				     UB_SCHEDULER_MAX);
	return 0;
}

static int check_threads(const struct ub_spec *spec, struct ub_error *err)
{
	uint32_t share = ub_spec_queues_per_thread(spec, spec->queues);
	uint32_t ios = ub_spec_ios(spec, spec->queues, spec->depth);
	cpu_set_t cpus[CPU_ALLOC_SIZE(UB_CPUS_MAX) / sizeof(cpu_set_t)];

	if (ub_spec_deal_cpus(spec, 0, 1, cpus, sizeof(cpus)) < 0)
		return ub_fail_usage(
			err,
			"--cpus takes numbers and ranges up to %u, as 0-3,8, each once; not %s",
			UB_CPUS_MAX - 1, spec->cpus);
	if (spec->threads > spec->queues && spec->threads % spec->queues)
		return ub_fail_usage(err, "--threads %u is no multiple of --queues %u",
				     spec->threads, spec->queues);
	if (ios > UB_IOS_MAX || share > UB_SHARE_MAX)
		return ub_fail_usage(err,
				     "--threads %u is too few: one would serve %u requests of %u "
				     "queues, and can %u of %u",
				     spec->threads, ios, share, UB_IOS_MAX, UB_SHARE_MAX);
	return 0;
}

static bool is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

static int check_blocks(const struct ub_spec *spec, struct ub_error *err)
{
	const struct {
		const char *name;
		uint32_t value;
	} sizes[] = {
		{"logical-block-size", spec->logical_block_size},
		{"physical-block-size", spec->physical_block_size},
		{"io-min", spec->io_min},
		{"io-opt", spec->io_opt},
	};
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < UB_ARRAY_SIZE(sizes); i++) {
		if (sizes[i].value && !is_power_of_two(sizes[i].value))
			return ub_fail_usage(err, "--%s %u is no power of two", sizes[i].name,
					     sizes[i].value);
	}
	/* ublk_validate_params() refuses both. */
	if (spec->logical_block_size > page)
		return ub_fail_usage(err, "--logical-block-size %u is larger than a page (%u)",
				     spec->logical_block_size, page);
	if (spec->physical_block_size && spec->physical_block_size < spec->logical_block_size)
		return ub_fail_usage(
			err, "--physical-block-size %u is smaller than the logical one (%u)",
			spec->physical_block_size, spec->logical_block_size);
	if (spec->max_io % page)
		return ub_fail_usage(err, "--max-io %u is no multiple of the page (%u)",
				     spec->max_io, page);
	return 0;
}

static int check_recovery(struct ub_spec *spec, struct ub_error *err)
{
	if (spec->recovery == UB_RECOVERY_DEFAULT) {
		spec->recovery = !spec->target->recoverable || spec->unprivileged ? UB_RECOVERY_NONE
				 : spec->no_lock ? UB_RECOVERY_REQUEUE
						 : UB_RECOVERY_REISSUE;
		return 0;
	}
	if (spec->recovery != UB_RECOVERY_NONE && spec->unprivileged)
		return ub_spec_needs_root(err, "--recovery", ub_recovery_names[spec->recovery]);
	/* What is sent again would be called done, and then overwritten by the older write. */
	if (spec->recovery == UB_RECOVERY_REISSUE && spec->no_lock)
		return ub_fail_usage(
			err, "--recovery reissue and --no-lock exclude each other: only the "
			     "lock tells when a dead server's last write is over");
	return 0;
}

/* Of one in the foreground that is the affair of whoever runs it, whatever its configuration file says. */
static int check_restart(struct ub_spec *spec, struct ub_error *err)
{
	spec->restart = spec->restart && !spec->foreground;
	if (!spec->restart)
		return 0;
	if (spec->bound)
		return ub_fail_usage(err, "--restart is not for a device that goes with a command");
	if (spec->stay)
		return ub_fail_usage(err,
				     "--restart and --stay exclude each other: the next server "
				     "would be somewhere else");
	if (!spec->target->recoverable)
		return ub_fail_usage(
			err, "--restart is not for target %s: its data dies with its server",
			spec->target->name);
	if (spec->unprivileged)
		return ub_spec_needs_root(err, "--restart", "");
	return spec->recovery != UB_RECOVERY_NONE
		       ? 0
		       : ub_fail_usage(err, "--restart and --recovery none exclude each other");
}

static unsigned count_choices(const struct ub_opt *opt)
{
	unsigned count = 0;

	while (opt->choices[count])
		count++;
	return count;
}

/* Ranges, for a specification that did not come through the command line. */
static int check_range(const struct ub_spec *spec, const struct ub_opt *opt, struct ub_error *err)
{
	const void *field = (const char *)spec + opt->offset;
	int choice;
	uint32_t value;

	switch (opt->type) {
	case UB_OPT_CHOICE:
		memcpy(&choice, field, sizeof(choice));
		if (field == &spec->recovery && choice == UB_RECOVERY_DEFAULT)
			return 0;
		if (choice < 0 || (unsigned)choice >= count_choices(opt))
			return ub_fail_usage(err, "--%s is out of range", opt->name);
		return 0;
	case UB_OPT_SIZE32:
	case UB_OPT_U32:
		memcpy(&value, field, sizeof(value));
		if (value == 0 && opt->type == UB_OPT_SIZE32 && field != &spec->max_io)
			return 0; /* the target's own */
		if (value == 0 && field == &spec->threads)
			return 0; /* one for each queue */
		if (value < opt->min || value > opt->max)
			return ub_fail_usage(err, "--%s %u is out of range: %llu to %llu",
					     opt->name, value, (unsigned long long)opt->min,
					     (unsigned long long)opt->max);
		return 0;
	default:
		return 0;
	}
}

static int check_ranges(const struct ub_spec *spec, struct ub_error *err)
{
	if (spec->id < -1 || spec->id > (int)UB_DEV_ID_MAX)
		return ub_fail_usage(err, "--id %d is out of range: 0 to %u", spec->id,
				     UB_DEV_ID_MAX);
	if (spec->numa_node < -1 || spec->numa_node > UB_NODE_MAX)
		return ub_fail_usage(err, "--numa-node %d is out of range: 0 to %d",
				     spec->numa_node, UB_NODE_MAX);
	for (const struct ub_opt *opt = ub_spec_options; opt->name; opt++) {
		int r = check_range(spec, opt, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int ub_spec_check(struct ub_spec *spec, struct ub_error *err)
{
	int r;

	if (!spec->target)
		return ub_fail_usage(err, "no target is chosen");
	r = check_ranges(spec, err);
	if (r == 0 && spec->name)
		r = ub_spec_check_name(spec->name, err);
	if (r == 0 && spec->scheduler)
		r = check_scheduler(spec->scheduler, err);
	/* The server is somewhere else than its caller. */
	if (r == 0 && spec->log_file && spec->log_file[0] != '/')
		r = ub_fail_usage(err, "--log-file %s is no absolute path", spec->log_file);
	if (r == 0 && spec->config && spec->config[0] != '/')
		r = ub_fail_usage(err, "--config %s is no absolute path", spec->config);
	if (r == 0)
		r = check_blocks(spec, err);
	if (r == 0)
		r = check_threads(spec, err);
	if (r == 0)
		r = ub_spec_check_path(spec, err);
	if (r == 0 && spec->adopt && !spec->foreground)
		r = ub_fail_usage(err, "--adopt is for --foreground");
	if (r == 0 && spec->foreground && spec->no_wait)
		r = ub_fail_usage(err, "--foreground and --no-wait exclude each other");
	if (r == 0 && spec->target->check)
		r = spec->target->check(spec->target_args, err);
	if (r == 0)
		r = ub_layer_list_check(&spec->layers,
					spec->unprivileged ? USER_PATIENCE_MS : PATIENCE_MS, err);
	if (r == 0)
		r = check_recovery(spec, err);
	if (r == 0)
		r = check_restart(spec, err);
	return r;
}
