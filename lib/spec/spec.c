/* SPDX-License-Identifier: MIT */
#include "spec/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/parse.h"
#include "kernel/node.h"
#include "kernel/uapi.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define THREADS_MAX 4096

const char *const ub_data_path_names[] = {
	[UB_PATH_AUTO] = "auto",           [UB_PATH_COPY] = "copy",
	[UB_PATH_USER_COPY] = "user-copy", [UB_PATH_GET_DATA] = "get-data",
	[UB_PATH_ZERO_COPY] = "zero-copy", NULL,
};

const char *const ub_batch_names[] = {
	[UB_BATCH_AUTO] = "auto",
	[UB_BATCH_ON] = "on",
	[UB_BATCH_OFF] = "off",
	NULL,
};

const char *const ub_path_reason_names[] = {
	[UB_REASON_BEST] = "best",           [UB_REASON_ASKED] = "asked",
	[UB_REASON_TARGET] = "target",       [UB_REASON_DRIVER] = "driver",
	[UB_REASON_ALIGNMENT] = "alignment", [UB_REASON_USER] = "user",
	[UB_REASON_BUFFERS] = "buffers",     [UB_REASON_LIMIT] = "limit",
	[UB_REASON_STABLE] = "stable",       NULL,
};

const char *const ub_recovery_names[] = {
	[UB_RECOVERY_NONE] = "none",
	[UB_RECOVERY_REQUEUE] = "requeue",
	[UB_RECOVERY_REISSUE] = "reissue",
	[UB_RECOVERY_FAIL] = "fail",
	NULL,
};

#define AT(field) .offset = offsetof(struct ub_spec, field)

/* clang-format off */
const struct ub_opt ub_spec_options[] = {
	{ .name = "id", .letter = 'n', .type = UB_OPT_INT, AT(id), .metavar = "N",
	  .elsewhere = 1, .max = UB_DEV_ID_MAX, .help = "number of the device (default: the kernel chooses)" },
	{ .name = "name", .type = UB_OPT_STRING, AT(name), .metavar = "NAME",
	  .help = "name that other commands take for the device" },
	{ .name = "queues", .letter = 'q', .type = UB_OPT_U32, AT(queues), .metavar = "N",
	  .min = 1, .max = UBLK_MAX_NR_QUEUES, .help = "hardware queues (default: 1)" },
	{ .name = "depth", .letter = 'd', .type = UB_OPT_U32, AT(depth), .metavar = "N",
	  .min = 1, .max = UBLK_MAX_QUEUE_DEPTH, .help = "requests in each queue (default: 128)" },
	{ .name = "max-io", .letter = 'b', .type = UB_OPT_SIZE32, AT(max_io), .metavar = "SIZE",
	  .min = 4 * KIB, .max = 32 * MIB,
	  .help = "largest request, a multiple of the page (default: 512K)" },
	{ .name = "data-path", .type = UB_OPT_CHOICE, AT(data_path), .chosen = 1,
	  .choices = ub_data_path_names,
	  .help = "how data reaches the server (default: auto)" },
	{ .name = "batch", .type = UB_OPT_CHOICE, AT(batch), .chosen = 1,
	  .choices = ub_batch_names,
	  .help = "many requests with one command, for deep queues (default: off)" },
	{ .name = "threads", .type = UB_OPT_U32, AT(threads), .metavar = "N", .min = 1,
	  .max = THREADS_MAX,
	  .help = "threads that serve, over all queues (default: one for each queue)" },
	{ .name = "cpus", .type = UB_OPT_STRING, AT(cpus), .metavar = "LIST", .completer = "cpu",
	  .live = 1, .help = "numbers of CPUs, dealt out to the threads (default: each queue's)" },
	{ .name = "poll-us", .type = UB_OPT_U32, AT(poll_us), .metavar = "N", .max = 1000000,
	  .live = 1, .help = "look for requests for so long before sleeping (default: 0)" },
	{ .name = "stall-sec", .type = UB_OPT_U32, AT(stall_s), .metavar = "N", .max = 86400,
	  .help = "tell of a request that takes longer; 0: of none (default: 30)" },
	{ .name = "buffer-memory", .type = UB_OPT_SIZE, AT(buffer_memory), .metavar = "SIZE",
	  .chosen = 1, .min = 4 * KIB,
	  .live = 1, .help = "most memory for I/O data at once (default: no limit)" },
	{ .name = "memory-limit", .type = UB_OPT_SIZE, AT(memory_limit), .metavar = "SIZE",
	  .min = 4 * KIB,
	  .live = 1, .help = "most memory that the device may have in all (default: no limit)" },
	{ .name = "mlock", .type = UB_OPT_FLAG, AT(mlock),
	  .help = "keep all of the server in memory, as swap on the device needs it" },
	{ .name = "huge-pages", .type = UB_OPT_FLAG, AT(huge_pages),
	  .help = "have buffers in huge pages of the default size, taken at the start" },
	{ .name = "numa-node", .type = UB_OPT_INT, AT(numa_node), .metavar = "N", .max = UB_NODE_MAX,
	  .completer = "node",
	  .help = "node whose memory is used (default: that of each queue's CPUs)" },
	{ .name = "logical-block-size", .type = UB_OPT_SIZE32, AT(logical_block_size),
	  .chosen = 1, .metavar = "SIZE", .min = 512, .max = 64 * KIB,
	  .help = "smallest unit of I/O (default: the target's)" },
	{ .name = "physical-block-size", .type = UB_OPT_SIZE32, AT(physical_block_size),
	  .metavar = "SIZE", .min = 512, .max = 256 * MIB,
	  .help = "unit that is written without reading first (default: the target's)" },
	{ .name = "io-min", .type = UB_OPT_SIZE32, AT(io_min), .metavar = "SIZE",
	  .min = 512, .max = 256 * MIB,
	  .help = "smallest I/O that is no burden (default: the target's)" },
	{ .name = "io-opt", .type = UB_OPT_SIZE32, AT(io_opt), .metavar = "SIZE",
	  .min = 512, .max = 256 * MIB, .help = "best size of an I/O (default: the target's)" },
	{ .name = "read-only", .type = UB_OPT_FLAG, AT(read_only), .chosen = 1,
	  .help = "refuse writes" },
	{ .name = "rotational", .type = UB_OPT_FLAG, AT(rotational),
	  .help = "say that seeking takes time" },
	{ .name = "scheduler", .type = UB_OPT_STRING, AT(scheduler), .metavar = "NAME|keep",
	  .completer = "scheduler",
	  .live = 1, .help = "scheduler of its I/O, or keep the kernel's (default: none)" },
	{ .name = "no-partition-scan", .type = UB_OPT_FLAG, AT(no_partition_scan),
	  .help = "do not look for partitions" },
	{ .name = "no-discard", .type = UB_OPT_FLAG, AT(no_discard),
	  .help = "do not offer discard, even if the target could" },
	{ .name = "no-lock", .type = UB_OPT_FLAG, AT(no_lock),
	  .help = "do not lock what lies behind the device" },
	{ .name = "layer", .type = UB_OPT_LAYERS, AT(layers), .metavar = "NAME[,KEY=VALUE]...",
	  .completer = "layer",
	  .help = "a layer over the target, below those before it; ublk-layers(7)" },
	{ .name = "recovery", .type = UB_OPT_CHOICE, AT(recovery), .choices = ub_recovery_names,
	  .help = "fate of I/O whose server dies (default: reissue where it is safe)" },
	{ .name = "log-file", .type = UB_OPT_STRING, AT(log_file), .metavar = "FILE",
	  .elsewhere = 1, .completer = "file",
	  .live = 1, .help = "where the server writes its log (default: the journal)" },
	{ .name = "log-level", .type = UB_OPT_CHOICE, AT(log_level), .choices = ub_log_levels,
	  .elsewhere = 1, .live = 1,
	  .help = "what its log has: this and what is worse (default: info)" },
	{ .name = "config", .type = UB_OPT_STRING, AT(config), .metavar = "FILE",
	  .elsewhere = 1, .completer = "file", .conflicts = "type",
	  .help = "read the type and options from FILE; those that are typed count more" },
	{ .name = "stay", .type = UB_OPT_FLAG, AT(stay), .elsewhere = 1,
	  .help = "leave the server in the control group that it is started in" },
	{ .name = "restart", .type = UB_OPT_FLAG, AT(restart), .elsewhere = 1,
	  .live = 1, .help = "start a new server when the device's own dies" },
	{ .name = "strict", .type = UB_OPT_FLAG, AT(strict), .transient = 1,
	  .help = "fail if the kernel grants a request only in part" },
	{ .name = "no-wait", .type = UB_OPT_FLAG, AT(no_wait), .transient = 1,
	  .help = "do not wait for the device node" },
	{ .name = "timeout", .type = UB_OPT_U32, AT(timeout_s), .metavar = "SEC", .transient = 1,
	  .min = 1, .max = 86400, .help = "give up after so many seconds (default: 60)" },
	UB_OPT_END,
};
/* clang-format on */

void ub_spec_init(struct ub_spec *spec)
{
	*spec = (struct ub_spec){
		.id = -1,
		.queues = 1,
		.depth = 128,
		.max_io = 512 * KIB,
		.data_path = UB_PATH_AUTO,
		.recovery = UB_RECOVERY_DEFAULT,
		.numa_node = -1,
		.stall_s = 30,
		.log_level = UB_LOG_INFO,
		.caller_fd = -1,
		.timeout_s = 60,
	};
}

static void drop_target(struct ub_spec *spec)
{
	if (spec->target && spec->target_args)
		ub_opt_free_strings(spec->target->options, spec->target_args);
	free(spec->target_args);
	spec->target_args = NULL;
	spec->target = NULL;
}

int ub_spec_set_target(struct ub_spec *spec, const struct ub_target *target)
{
	/* A target without options may have no arguments at all. */
	void *args = calloc(1, target->args_size ? target->args_size : 1);

	if (!args)
		return -ENOMEM;
	drop_target(spec);
	if (target->defaults)
		target->defaults(args);
	spec->target = target;
	spec->target_args = args;
	return 0;
}

uint32_t ub_spec_threads_per_queue(const struct ub_spec *spec, uint32_t depth)
{
	uint32_t threads = spec->threads / spec->queues;

	if (threads > depth)
		threads = depth;
	return threads ? threads : 1;
}

uint32_t ub_spec_queues_per_thread(const struct ub_spec *spec, uint32_t queues)
{
	if (spec->threads == 0 || spec->threads >= queues)
		return 1;
	return (queues + spec->threads - 1) / spec->threads;
}

uint32_t ub_spec_threads(const struct ub_spec *spec, uint32_t queues, uint32_t depth)
{
	uint32_t share = ub_spec_queues_per_thread(spec, queues);

	return (queues + share - 1) / share * ub_spec_threads_per_queue(spec, depth);
}

uint32_t ub_spec_threads_to_come(const struct ub_spec *spec)
{
	uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);

	return ub_spec_threads(spec, spec->queues < cpus ? spec->queues : cpus, spec->depth);
}

uint32_t ub_spec_ios(const struct ub_spec *spec, uint32_t queues, uint32_t depth)
{
	uint32_t threads = ub_spec_threads_per_queue(spec, depth);

	return (depth + threads - 1) / threads * ub_spec_queues_per_thread(spec, queues);
}

int ub_spec_deal_cpus(const struct ub_spec *spec, unsigned thread, unsigned threads,
		      cpu_set_t *ret_cpus, size_t size)
{
	unsigned list[UB_CPUS_MAX];
	int count = spec->cpus ? ub_parse_cpus(spec->cpus, UB_CPUS_MAX - 1, list, UB_CPUS_MAX) : 0;

	CPU_ZERO_S(size, ret_cpus);
	for (int i = (int)thread; i < count; i += (int)threads)
		CPU_SET_S(list[i], size, ret_cpus);
	if (count > 0 && (int)thread >= count)
		CPU_SET_S(list[(int)thread % count], size, ret_cpus);
	return count < 0 ? count : CPU_COUNT_S(size, ret_cpus);
}

void ub_spec_done(struct ub_spec *spec)
{
	drop_target(spec);
	ub_layer_list_done(&spec->layers);
	ub_opt_free_strings(ub_spec_options, spec);
}
