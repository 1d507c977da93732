/* SPDX-License-Identifier: MIT */
/* What `show` tells of a device besides the fields that `list` has. */
#include "device_fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/uapi.h"
#include "plan_fields.h"
#include "spec/data_path.h"
#include "target/target.h"

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)
#define SECTOR 512ULL

/* Of a detail, which begins with its device, or of a device alone. */
static const struct ub_dev *dev_of(const void *object)
{
	return object;
}

static bool is_managed(const void *object)
{
	return dev_of(object)->managed;
}

/* What was asked for: only the record knows. */
GETTER(asked)
{
	value->options = ub_spec_options;
	value->values = &dev_of(object)->record.spec;
	value->defaults = &((const struct ub_dev_detail *)object)->defaults;
	value->known = dev_of(object)->managed;
}

static bool has_backing(const void *object)
{
	return dev_of(object)->managed && dev_of(object)->record.backings.count;
}

/* Of a struct ub_backing. */
GETTER(known_by)
{
	ub_value_text(value, ub_known_by_names[ub_backing_known_by(object)]);
}

/* For people only where there are several: of one the lines above say all. */
GETTER(backings)
{
	value->number = dev_of(object)->managed ? dev_of(object)->record.backings.count : 0;
	value->known = value->number > 1;
}

static const char *describe_backing(const void *element, char *buf, size_t size)
{
	const struct ub_backing *b = element;

	(void)snprintf(buf, size, "%s: known by %s%s%s", b->path,
		       ub_known_by_names[ub_backing_known_by(b)], b->real ? ", at " : "",
		       b->real ? b->real : "");
	return buf;
}

/* The parameters, as the driver has them. */

static bool has_params(const void *object, uint32_t type)
{
	return dev_of(object)->params.types & type;
}

static bool has_basic(const void *object)
{
	return has_params(object, UBLK_PARAM_TYPE_BASIC);
}

static bool has_segment(const void *object)
{
	return has_params(object, UBLK_PARAM_TYPE_SEGMENT);
}

static void set_attr(const void *object, struct ub_value *value, uint32_t attr)
{
	ub_value_number(value, !!(dev_of(object)->params.basic.attrs & attr));
}

GETTER(volatile_cache)
{
	set_attr(object, value, UBLK_ATTR_VOLATILE_CACHE);
}

GETTER(fua)
{
	set_attr(object, value, UBLK_ATTR_FUA);
}

GETTER(rotational)
{
	set_attr(object, value, UBLK_ATTR_ROTATIONAL);
}

GETTER(io_min)
{
	ub_value_number(value, 1ULL << (dev_of(object)->params.basic.io_min_shift & 31));
}

/* A shift of 0 says that there is none. */
GETTER(io_opt)
{
	uint8_t shift = dev_of(object)->params.basic.io_opt_shift;

	ub_value_number(value, shift ? 1ULL << (shift & 31) : 0);
}

GETTER(max_request)
{
	ub_value_number(value, dev_of(object)->params.basic.max_sectors * SECTOR);
}

static const struct ublk_param_discard *discard_of(const void *object)
{
	static const struct ublk_param_discard none;

	return has_params(object, UBLK_PARAM_TYPE_DISCARD) ? &dev_of(object)->params.discard
							   : &none;
}

GETTER(discard_granularity)
{
	const struct ublk_param_discard *discard = discard_of(object);

	ub_value_number(value, discard->max_discard_sectors ? discard->discard_granularity : 0);
}

GETTER(max_discard)
{
	ub_value_number(value, discard_of(object)->max_discard_sectors * SECTOR);
}

GETTER(max_write_zeroes)
{
	ub_value_number(value, discard_of(object)->max_write_zeroes_sectors * SECTOR);
}

/* The mask 0xfff demands multiples of 4096. */
GETTER(dma_alignment)
{
	if (has_params(object, UBLK_PARAM_TYPE_DMA_ALIGN))
		ub_value_number(value, (uint64_t)dev_of(object)->params.dma.alignment + 1);
}

/* The queues' threads and CPUs. */

GETTER(queue_tid)
{
	const struct ub_placement *queue = object;

	/* The first one's. */
	if (queue->thread_count)
		ub_value_number(value, (uint64_t)queue->threads[0].tid);
}

static const char *describe_queue(const void *element, char *buf, size_t size)
{
	const struct ub_placement *queue = element;
	int n = snprintf(buf, size, "%u on CPUs %s", queue->id, queue->cpus[0] ? queue->cpus : "-");

	for (size_t i = 0; i < queue->thread_count && n > 0 && (size_t)n < size; i++) {
		const struct ub_placed_thread *thread = &queue->threads[i];

		n += snprintf(buf + n, size - (size_t)n, "%s %d", i ? "," : " by thread",
			      thread->tid);
		if (n > 0 && (size_t)n < size && strcmp(thread->cpus, queue->cpus) != 0)
			n += snprintf(buf + n, size - (size_t)n, " on %s", thread->cpus);
	}
	return buf;
}

static bool has_answered(const void *object)
{
	const struct ub_dev_detail *detail = object;

	return detail->asked && !detail->answer;
}

GETTER(away_error)
{
	ub_value_text(value, ub_away_words(-((const struct ub_dev_detail *)object)->away_error));
}

static bool is_away(const void *object)
{
	return ((const struct ub_dev_detail *)object)->away;
}

static bool is_remote(const void *object)
{
	const struct ub_dev *dev = object;

	return dev->managed && dev->record.remote.id;
}

/* One that nobody can reach from here may be well. */
GETTER(answers)
{
	const struct ub_dev_detail *detail = object;

	if (detail->asked && (!detail->answer || detail->answer == -ETIMEDOUT))
		ub_value_number(value, !detail->answer);
}

/* What becomes of the memory of buffers that nobody needs. */
GETTER(idle_buffers)
{
	const struct ub_dev *dev = dev_of(object);
	const struct ub_spec *spec = &dev->record.spec;

	if (!dev->managed)
		return;
	if (!ub_path_has_buffers(ub_path_granted(dev->info.flags), spec->target))
		ub_value_text(value, "none");
	else if (spec->mlock)
		ub_value_text(value, "kept-locked");
	else
		ub_value_text(value, spec->huge_pages ? "kept-huge-pages" : "returned");
}

static bool is_planned(const void *object)
{
	return is_managed(object) && dev_of(object)->record.memory.planned;
}

static const char *describe_user(const void *element, char *buf, size_t size)
{
	return ub_user_describe(element, buf, size);
}

static const char *const user_kinds[] = {
	[UB_USER_MOUNT] = "mount",   [UB_USER_SWAP] = "swap",   [UB_USER_HOLDER] = "holder",
	[UB_USER_OPENER] = "opener", [UB_USER_CLAIM] = "claim", [UB_USER_UNSEEN] = "unseen",
};

GETTER(write_error)
{
	const struct ub_dev *dev = dev_of(object);

	if (dev->managed && dev->record.write_error)
		ub_value_text(value, ub_errno_name(dev->record.write_error, value->buf));
}

/* clang-format off */
#define PARAM(member) UB_AT(struct ub_dev, params.member)

static const struct ub_field away_fields[] = {
	{ .key = "seconds", .type = UB_FIELD_NUMBER, UB_AT(struct ub_dev_detail, away_seconds) },
	{ .key = "tries", .type = UB_FIELD_NUMBER, UB_AT(struct ub_dev_detail, away_tries) },
	{ .key = "error", .type = UB_FIELD_STRING, .get = get_away_error },
	{ .key = "fenced", .type = UB_FIELD_BOOL, UB_AT(struct ub_dev_detail, away_fenced) },
	UB_FIELD_END,
};

static const struct ub_field parameter_fields[] = {
	{ .key = "volatile_cache", .type = UB_FIELD_BOOL, .get = get_volatile_cache },
	{ .key = "fua", .type = UB_FIELD_BOOL, .get = get_fua },
	{ .key = "rotational", .type = UB_FIELD_BOOL, .get = get_rotational },
	{ .key = "io_min", .type = UB_FIELD_SIZE, .get = get_io_min },
	{ .key = "io_opt", .type = UB_FIELD_SIZE, .get = get_io_opt },
	{ .key = "max_request", .type = UB_FIELD_SIZE, .get = get_max_request },
	{ .key = "discard_granularity", .type = UB_FIELD_SIZE, .get = get_discard_granularity },
	{ .key = "max_discard", .type = UB_FIELD_SIZE, .get = get_max_discard },
	{ .key = "max_write_zeroes", .type = UB_FIELD_SIZE, .get = get_max_write_zeroes },
	{ .key = "dma_alignment", .type = UB_FIELD_SIZE, .get = get_dma_alignment },
	{ .key = "max_segment_size", .type = UB_FIELD_SIZE, PARAM(seg.max_segment_size), .when = has_segment },
	{ .key = "max_segments", .type = UB_FIELD_NUMBER, PARAM(seg.max_segments), .when = has_segment },
	UB_FIELD_END,
};

#define USER(member) UB_AT(struct ub_user, member)
#define USER_CHARS(member) UB_AT_CHARS(struct ub_user, member)

static const struct ub_field user_fields[] = {
	{ .key = "kind", .type = UB_FIELD_STRING, USER(kind), .names = user_kinds },
	{ .key = "device", .type = UB_FIELD_STRING, USER_CHARS(device) },
	{ .key = "what", .type = UB_FIELD_STRING, USER_CHARS(what) },
	{ .key = "pid", .type = UB_FIELD_NUMBER, USER(pid), .positive = true },
	UB_FIELD_END,
};

#define REGION(member) UB_AT(struct ub_footprint_region, member)

static const struct ub_field region_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, REGION(kind), .names = ub_region_names },
	{ .key = "queue", .type = UB_FIELD_NUMBER, REGION(queue) },
	{ .key = "mapped", .type = UB_FIELD_SIZE, REGION(usage.mapped) },
	{ .key = "resident", .type = UB_FIELD_SIZE, REGION(usage.resident) },
	{ .key = "dirty", .type = UB_FIELD_SIZE, REGION(usage.dirty) },
	{ .key = "locked", .type = UB_FIELD_SIZE, REGION(usage.locked) },
	{ .key = "page_size", .type = UB_FIELD_SIZE, REGION(page_size) },
	UB_FIELD_END,
};

const struct ub_field ub_region_list_fields[] = {
	{ .key = "regions", .type = UB_FIELD_LIST, .fields = region_fields, .json_only = true,
	  UB_LIST_AT(struct ub_dev, memory.regions, memory.count) },
	UB_FIELD_END,
};

static const struct ub_field thread_fields[] = {
	{ .key = "tid", .type = UB_FIELD_NUMBER, UB_AT(struct ub_placed_thread, tid) },
	{ .key = "cpus", .type = UB_FIELD_STRING, UB_AT_CHARS(struct ub_placed_thread, cpus) },
	UB_FIELD_END,
};

#define QUEUE(member) UB_AT(struct ub_placement, member)

static const struct ub_field queue_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, QUEUE(id) },
	{ .key = "tid", .type = UB_FIELD_NUMBER, .get = get_queue_tid },
	{ .key = "cpus", .type = UB_FIELD_STRING, UB_AT_CHARS(struct ub_placement, cpus) },
	{ .key = "numa_node", .type = UB_FIELD_NUMBER, QUEUE(numa_node) },
	{ .key = "memory_node", .type = UB_FIELD_NUMBER, QUEUE(memory_node) },
	{ .key = "threads", .type = UB_FIELD_LIST, .fields = thread_fields,
	  UB_LIST_AT(struct ub_placement, threads, thread_count) },
	UB_FIELD_END,
};

#define BACKING(member) UB_AT(struct ub_backing, member)

static const struct ub_field identity_fields[] = {
	{ .key = "known_by", .type = UB_FIELD_STRING, .get = get_known_by },
	{ .key = "real_path", .type = UB_FIELD_STRING, BACKING(real) },
	{ .key = "served_from", .type = UB_FIELD_NUMBER, BACKING(offset), .json_only = true },
	{ .key = "served_bytes", .type = UB_FIELD_NUMBER, BACKING(length), .positive = true, .json_only = true },
	{ .key = "inode", .type = UB_FIELD_NUMBER, BACKING(ino), .json_only = true },
	{ .key = "born_ns", .type = UB_FIELD_NUMBER, BACKING(born_ns), .positive = true, .json_only = true },
	{ .key = "handle", .type = UB_FIELD_STRING, BACKING(handle), .json_only = true },
	{ .key = "disk_sequence", .type = UB_FIELD_NUMBER, BACKING(diskseq), .positive = true, .json_only = true },
	{ .key = "disk_id", .type = UB_FIELD_STRING, BACKING(disk_id), .json_only = true },
	UB_FIELD_END,
};

static const struct ub_field backing_fields[] = {
	{ .key = "path", .type = UB_FIELD_STRING, BACKING(path) },
	{ .key = "writable", .type = UB_FIELD_BOOL, BACKING(writable) },
	{ .key = "identity", .type = UB_FIELD_INCLUDE, .fields = identity_fields },
	UB_FIELD_END,
};

#define REMOTE(member) UB_AT(struct ub_dev, record.remote.member)

static const struct ub_field remote_fields[] = {
	{ .key = "id", .type = UB_FIELD_STRING, REMOTE(id) },
	{ .key = "holder", .type = UB_FIELD_STRING, REMOTE(holder) },
	UB_FIELD_END,
};

#define DETAIL(member) UB_AT_CHARS(struct ub_dev_detail, member)

const struct ub_field ub_detail_fields[] = {
	{ .key = "device", .type = UB_FIELD_INCLUDE, .fields = ub_device_fields },
	{ .key = "backing_identity", .type = UB_FIELD_OBJECT, .fields = identity_fields, .when = has_backing,
	  UB_WITHIN(struct ub_dev, record.backings.at), .flat = true },
	{ .key = "backings_detail", .type = UB_FIELD_LIST, .fields = backing_fields, .get = get_backings,
	  .items = offsetof(struct ub_dev, record.backings.at), .item_size = sizeof(struct ub_backing),
	  .items_here = true, .describe = describe_backing },
	{ .key = "remote", .type = UB_FIELD_OBJECT, .fields = remote_fields, .when = is_remote },
	{ .key = "asked", .type = UB_FIELD_OPTIONS, .get = get_asked },
	{ .key = "data_path_reason", .type = UB_FIELD_STRING, .json_only = true,
	  UB_AT(struct ub_dev, record.spec.path_reason), .names = ub_path_reason_names,
	  .when = is_managed },
	{ .key = "parameters", .type = UB_FIELD_OBJECT, .fields = parameter_fields,
	  .when = has_basic, .flat = true },
	{ .key = "queues_detail", .type = UB_FIELD_LIST, .fields = queue_fields,
	  UB_LIST_AT(struct ub_dev_detail, queues, queue_count), .describe = describe_queue },
	{ .key = "control_socket", .type = UB_FIELD_STRING, UB_AT(struct ub_dev, record.socket),
	  .when = is_managed },
	{ .key = "server_answers", .type = UB_FIELD_BOOL, .get = get_answers },
	{ .key = "served_seconds", .type = UB_FIELD_NUMBER, .when = has_answered,
	  UB_AT(struct ub_dev_detail, served_seconds) },
	{ .key = "away", .type = UB_FIELD_OBJECT, .fields = away_fields, .when = is_away,
	  .json_only = true },
	{ .key = "control_group", .type = UB_FIELD_STRING, UB_AT(struct ub_dev_detail, group) },
	{ .key = "scheduler", .type = UB_FIELD_STRING, DETAIL(scheduler), .help = "I/O scheduler that the disk has now" },
	{ .key = "idle_buffers", .type = UB_FIELD_STRING, .get = get_idle_buffers },
	{ .key = "regions", .type = UB_FIELD_INCLUDE, .fields = ub_region_list_fields },
	{ .key = "plan", .type = UB_FIELD_LIST, .fields = ub_plan_sum_fields, .when = is_planned,
	  UB_LIST_ALL(struct ub_dev, record.memory.plan), .json_only = true },
	{ .key = "notes", .type = UB_FIELD_LIST, .when = is_managed,
	  UB_LIST_IN(struct ub_dev, record.notes.text, record.notes.count) },
	{ .key = "users", .type = UB_FIELD_LIST, .fields = user_fields, .describe = describe_user,
	  UB_LIST_AT(struct ub_dev_detail, users.list, users.count) },
	{ .key = "write_error", .type = UB_FIELD_STRING, .get = get_write_error },
	{ .key = "status", .type = UB_FIELD_STRING, DETAIL(status) },
	{ .key = "action", .type = UB_FIELD_STRING, DETAIL(action) },
	UB_FIELD_END,
};
/* clang-format on */
