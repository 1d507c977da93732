/* SPDX-License-Identifier: MIT */
/* What `show` tells of a device besides the fields that `list` has. */
#include "device_fields.h"

#include <stdio.h>
#include <string.h>

#include "spec/data_path.h"
#include "kernel/uapi.h"
#include "plan_fields.h"

#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)
#define SECTOR 512ULL

/* Of a detail, which begins with its device, or of a device alone. */
static const struct ub_dev *dev_of(const void *object)
{
	return object;
}

static const struct ub_spec *spec_of(const void *object)
{
	return &dev_of(object)->record.spec;
}

/* What was asked for: only the record knows. */

GETTER(asked)
{
	value->known = dev_of(object)->managed;
}

GETTER(asked_queues)
{
	ub_value_number(value, spec_of(object)->queues);
}

GETTER(asked_depth)
{
	ub_value_number(value, spec_of(object)->depth);
}

GETTER(asked_max_io)
{
	ub_value_number(value, spec_of(object)->max_io);
}

GETTER(asked_data_path)
{
	ub_value_text(value, ub_data_path_names[spec_of(object)->data_path]);
}

GETTER(asked_batch)
{
	ub_value_text(value, ub_batch_names[spec_of(object)->batch]);
}

GETTER(path_reason)
{
	/* -1: its record does not say. */
	if (dev_of(object)->managed && spec_of(object)->path_reason >= 0)
		ub_value_text(value, ub_path_reason_names[spec_of(object)->path_reason]);
}

GETTER(asked_threads)
{
	if (spec_of(object)->threads)
		ub_value_number(value, spec_of(object)->threads);
}

GETTER(asked_cpus)
{
	ub_value_text(value, spec_of(object)->cpus);
}

GETTER(asked_poll_us)
{
	ub_value_number(value, spec_of(object)->poll_us);
}

GETTER(asked_recovery)
{
	if (spec_of(object)->recovery != UB_RECOVERY_DEFAULT)
		ub_value_text(value, ub_recovery_names[spec_of(object)->recovery]);
}

/* 0: no limit was asked for. */
GETTER(asked_buffer_memory)
{
	if (spec_of(object)->buffer_memory)
		ub_value_number(value, spec_of(object)->buffer_memory);
}

GETTER(asked_memory_limit)
{
	if (spec_of(object)->memory_limit)
		ub_value_number(value, spec_of(object)->memory_limit);
}

GETTER(asked_mlock)
{
	ub_value_number(value, spec_of(object)->mlock);
}

GETTER(asked_huge_pages)
{
	ub_value_number(value, spec_of(object)->huge_pages);
}

GETTER(asked_numa_node)
{
	if (spec_of(object)->numa_node >= 0)
		ub_value_number(value, (uint64_t)spec_of(object)->numa_node);
}

/* The parameters, as the driver has them. */

static const struct ublk_params *params_of(const void *object, uint32_t type)
{
	const struct ublk_params *params = &dev_of(object)->params;

	return params->types & type ? params : NULL;
}

GETTER(parameters)
{
	value->known = params_of(object, UBLK_PARAM_TYPE_BASIC);
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

GETTER(discard_granularity)
{
	const struct ublk_params *params = params_of(object, UBLK_PARAM_TYPE_DISCARD);

	ub_value_number(value, params && params->discard.max_discard_sectors
				       ? params->discard.discard_granularity
				       : 0);
}

GETTER(max_discard)
{
	const struct ublk_params *params = params_of(object, UBLK_PARAM_TYPE_DISCARD);

	ub_value_number(value, params ? params->discard.max_discard_sectors * SECTOR : 0);
}

GETTER(max_write_zeroes)
{
	const struct ublk_params *params = params_of(object, UBLK_PARAM_TYPE_DISCARD);

	ub_value_number(value, params ? params->discard.max_write_zeroes_sectors * SECTOR : 0);
}

/* The mask 0xfff demands multiples of 4096. */
GETTER(dma_alignment)
{
	const struct ublk_params *params = params_of(object, UBLK_PARAM_TYPE_DMA_ALIGN);

	if (params)
		ub_value_number(value, (uint64_t)params->dma.alignment + 1);
}

GETTER(max_segment_size)
{
	const struct ublk_params *params = params_of(object, UBLK_PARAM_TYPE_SEGMENT);

	if (params)
		ub_value_number(value, params->seg.max_segment_size);
}

GETTER(max_segments)
{
	const struct ublk_params *params = params_of(object, UBLK_PARAM_TYPE_SEGMENT);

	if (params)
		ub_value_number(value, params->seg.max_segments);
}

/* The queues' threads and CPUs. */

GETTER(queues_detail)
{
	ub_value_number(value, ((const struct ub_dev_detail *)object)->queue_count);
}

static const void *queue_at(const void *object, size_t index)
{
	return &((const struct ub_dev_detail *)object)->queues[index];
}

GETTER(queue_id)
{
	ub_value_number(value, ((const struct ub_placement *)object)->id);
}

GETTER(queue_tid)
{
	const struct ub_placement *queue = object;

	/* The first one's. */
	if (queue->thread_count)
		ub_value_number(value, (uint64_t)queue->threads[0].tid);
}

GETTER(queue_cpus)
{
	const struct ub_placement *queue = object;

	ub_value_text(value, queue->cpus[0] ? queue->cpus : NULL);
}

GETTER(queue_node)
{
	const struct ub_placement *queue = object;

	if (queue->numa_node >= 0)
		ub_value_number(value, (uint64_t)queue->numa_node);
}

GETTER(queue_threads)
{
	ub_value_number(value, ((const struct ub_placement *)object)->thread_count);
}

static const void *thread_at(const void *object, size_t index)
{
	return &((const struct ub_placement *)object)->threads[index];
}

GETTER(thread_tid)
{
	ub_value_number(value, (uint64_t)((const struct ub_placed_thread *)object)->tid);
}

GETTER(thread_cpus)
{
	const struct ub_placed_thread *thread = object;

	ub_value_text(value, thread->cpus[0] ? thread->cpus : NULL);
}

GETTER(queue_memory_node)
{
	const struct ub_placement *queue = object;

	if (queue->memory_node >= 0)
		ub_value_number(value, (uint64_t)queue->memory_node);
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

GETTER(notes)
{
	ub_value_number(value, dev_of(object)->managed ? dev_of(object)->record.notes.count : 0);
}

static const void *note_at(const void *object, size_t index)
{
	return dev_of(object)->record.notes.text[index];
}

/* The server's memory, piece by piece. */

static const struct ub_footprint_region *region_of(const void *object)
{
	return object;
}

GETTER(regions)
{
	ub_value_number(value, dev_of(object)->memory.count);
}

static const void *region_at(const void *object, size_t index)
{
	return &dev_of(object)->memory.regions[index];
}

GETTER(region_name)
{
	ub_value_text(value, ub_region_names[region_of(object)->kind]);
}

GETTER(region_queue)
{
	if (region_of(object)->queue >= 0)
		ub_value_number(value, (uint64_t)region_of(object)->queue);
}

GETTER(region_mapped)
{
	ub_value_number(value, region_of(object)->usage.mapped);
}

GETTER(region_resident)
{
	ub_value_number(value, region_of(object)->usage.resident);
}

GETTER(region_dirty)
{
	ub_value_number(value, region_of(object)->usage.dirty);
}

GETTER(region_locked)
{
	ub_value_number(value, region_of(object)->usage.locked);
}

GETTER(region_page_size)
{
	ub_value_number(value, region_of(object)->page_size);
}

/* What becomes of the memory of buffers that nobody needs. */
GETTER(idle_buffers)
{
	const struct ub_dev *dev = dev_of(object);
	const struct ub_spec *spec = spec_of(object);

	if (!dev->managed)
		return;
	if (!ub_path_has_buffers(ub_path_granted(dev->info.flags), spec->target))
		ub_value_text(value, "none");
	else if (spec->mlock)
		ub_value_text(value, "kept-locked");
	else
		ub_value_text(value, spec->huge_pages ? "kept-huge-pages" : "returned");
}

/* And as it was planned. */

GETTER(planned)
{
	if (dev_of(object)->managed && dev_of(object)->record.memory.planned)
		ub_value_number(value, UB_REGION_COUNT);
}

static const void *planned_at(const void *object, size_t index)
{
	return &dev_of(object)->record.memory.plan[index];
}

/* Who uses it. */

GETTER(users)
{
	ub_value_number(value, ((const struct ub_dev_detail *)object)->users.count);
}

static const void *user_at(const void *object, size_t index)
{
	return &((const struct ub_dev_detail *)object)->users.list[index];
}

static const char *describe_user(const void *element, char *buf, size_t size)
{
	return ub_user_describe(element, buf, size);
}

GETTER(user_kind)
{
	static const char *const kinds[] = {
		[UB_USER_MOUNT] = "mount",   [UB_USER_SWAP] = "swap",   [UB_USER_HOLDER] = "holder",
		[UB_USER_OPENER] = "opener", [UB_USER_CLAIM] = "claim",
	};

	ub_value_text(value, kinds[((const struct ub_user *)object)->kind]);
}

GETTER(user_device)
{
	ub_value_text(value, ((const struct ub_user *)object)->device);
}

GETTER(user_what)
{
	const struct ub_user *user = object;

	ub_value_text(value, *user->what ? user->what : NULL);
}

GETTER(user_pid)
{
	const struct ub_user *user = object;

	if (user->pid > 0)
		ub_value_number(value, (uint64_t)user->pid);
}

/* How it is. */

GETTER(write_error)
{
	const struct ub_dev *dev = dev_of(object);

	if (dev->managed && dev->record.write_error)
		ub_value_text(value, ub_errno_name(dev->record.write_error, value->buf));
}

GETTER(status)
{
	const char *status = ((const struct ub_dev_detail *)object)->status;

	ub_value_text(value, *status ? status : NULL);
}

GETTER(action)
{
	const char *action = ((const struct ub_dev_detail *)object)->action;

	ub_value_text(value, *action ? action : NULL);
}

/* clang-format off */
static const struct ub_field asked_fields[] = {
	{ .key = "queues", .type = UB_FIELD_NUMBER, .get = get_asked_queues },
	{ .key = "depth", .type = UB_FIELD_NUMBER, .get = get_asked_depth },
	{ .key = "max_io", .type = UB_FIELD_SIZE, .get = get_asked_max_io },
	{ .key = "data_path", .type = UB_FIELD_STRING, .get = get_asked_data_path },
	{ .key = "batch", .type = UB_FIELD_STRING, .get = get_asked_batch },
	{ .key = "threads", .type = UB_FIELD_NUMBER, .get = get_asked_threads },
	{ .key = "cpus", .type = UB_FIELD_STRING, .get = get_asked_cpus },
	{ .key = "poll_us", .type = UB_FIELD_NUMBER, .get = get_asked_poll_us },
	{ .key = "recovery", .type = UB_FIELD_STRING, .get = get_asked_recovery },
	{ .key = "buffer_memory", .type = UB_FIELD_SIZE, .get = get_asked_buffer_memory },
	{ .key = "memory_limit", .type = UB_FIELD_SIZE, .get = get_asked_memory_limit },
	{ .key = "mlock", .type = UB_FIELD_BOOL, .get = get_asked_mlock },
	{ .key = "huge_pages", .type = UB_FIELD_BOOL, .get = get_asked_huge_pages },
	{ .key = "numa_node", .type = UB_FIELD_NUMBER, .get = get_asked_numa_node },
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
	{ .key = "max_segment_size", .type = UB_FIELD_SIZE, .get = get_max_segment_size },
	{ .key = "max_segments", .type = UB_FIELD_NUMBER, .get = get_max_segments },
	UB_FIELD_END,
};

static const struct ub_field user_fields[] = {
	{ .key = "kind", .type = UB_FIELD_STRING, .get = get_user_kind },
	{ .key = "device", .type = UB_FIELD_STRING, .get = get_user_device },
	{ .key = "what", .type = UB_FIELD_STRING, .get = get_user_what },
	{ .key = "pid", .type = UB_FIELD_NUMBER, .get = get_user_pid },
	UB_FIELD_END,
};

static const struct ub_field region_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, .get = get_region_name },
	{ .key = "queue", .type = UB_FIELD_NUMBER, .get = get_region_queue },
	{ .key = "mapped", .type = UB_FIELD_SIZE, .get = get_region_mapped },
	{ .key = "resident", .type = UB_FIELD_SIZE, .get = get_region_resident },
	{ .key = "dirty", .type = UB_FIELD_SIZE, .get = get_region_dirty },
	{ .key = "locked", .type = UB_FIELD_SIZE, .get = get_region_locked },
	{ .key = "page_size", .type = UB_FIELD_SIZE, .get = get_region_page_size },
	UB_FIELD_END,
};

const struct ub_field ub_region_list_fields[] = {
	{ .key = "regions", .type = UB_FIELD_LIST, .get = get_regions, .fields = region_fields,
	  .at = region_at, .json_only = true },
	UB_FIELD_END,
};

static const struct ub_field thread_fields[] = {
	{ .key = "tid", .type = UB_FIELD_NUMBER, .get = get_thread_tid },
	{ .key = "cpus", .type = UB_FIELD_STRING, .get = get_thread_cpus },
	UB_FIELD_END,
};

static const struct ub_field queue_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, .get = get_queue_id },
	{ .key = "tid", .type = UB_FIELD_NUMBER, .get = get_queue_tid },
	{ .key = "cpus", .type = UB_FIELD_STRING, .get = get_queue_cpus },
	{ .key = "numa_node", .type = UB_FIELD_NUMBER, .get = get_queue_node },
	{ .key = "memory_node", .type = UB_FIELD_NUMBER, .get = get_queue_memory_node },
	{ .key = "threads", .type = UB_FIELD_LIST, .get = get_queue_threads, .fields = thread_fields,
	  .at = thread_at },
	UB_FIELD_END,
};

const struct ub_field ub_detail_fields[] = {
	{ .key = "device", .type = UB_FIELD_INCLUDE, .fields = ub_device_fields },
	{ .key = "asked", .type = UB_FIELD_OBJECT, .get = get_asked, .fields = asked_fields,
	  .json_only = true },
	{ .key = "data_path_reason", .type = UB_FIELD_STRING, .get = get_path_reason,
	  .json_only = true },
	{ .key = "parameters", .type = UB_FIELD_OBJECT, .get = get_parameters,
	  .fields = parameter_fields, .flat = true },
	{ .key = "queues_detail", .type = UB_FIELD_LIST, .get = get_queues_detail,
	  .fields = queue_fields, .at = queue_at, .describe = describe_queue },
	{ .key = "idle_buffers", .type = UB_FIELD_STRING, .get = get_idle_buffers },
	{ .key = "regions", .type = UB_FIELD_INCLUDE, .fields = ub_region_list_fields },
	{ .key = "plan", .type = UB_FIELD_LIST, .get = get_planned, .fields = ub_plan_sum_fields,
	  .at = planned_at, .json_only = true },
	{ .key = "notes", .type = UB_FIELD_LIST, .get = get_notes, .at = note_at },
	{ .key = "users", .type = UB_FIELD_LIST, .get = get_users, .fields = user_fields,
	  .at = user_at, .describe = describe_user },
	{ .key = "write_error", .type = UB_FIELD_STRING, .get = get_write_error },
	{ .key = "status", .type = UB_FIELD_STRING, .get = get_status },
	{ .key = "action", .type = UB_FIELD_STRING, .get = get_action },
	UB_FIELD_END,
};
/* clang-format on */
