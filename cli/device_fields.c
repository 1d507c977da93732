/* SPDX-License-Identifier: MIT */
#include "device_fields.h"

#include <stdio.h>

#include "base/clean.h"
#include "kernel/node.h"
#include "kernel/uapi.h"
#include "spec/data_path.h"

/* Every getter of this file sees a struct ub_dev. */
#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const struct ub_dev *dev_of(const void *object)
{
	return object;
}

GETTER(id)
{
	ub_value_number(value, dev_of(object)->id);
}

GETTER(name)
{
	if (dev_of(object)->managed)
		ub_value_text(value, dev_of(object)->record.spec.name);
}

GETTER(path)
{
	ub_value_text(value, ub_dev_block_path(dev_of(object)->id, value->buf));
}

GETTER(state)
{
	ub_value_text(value, ub_dev_state_name(dev_of(object)));
}

/* A device that was added and never given its parameters has no size yet. */
GETTER(size)
{
	if (dev_of(object)->size || dev_of(object)->params.types)
		ub_value_number(value, dev_of(object)->size);
}

static const struct ublk_param_basic *basic_of(const void *object)
{
	const struct ublk_params *params = &dev_of(object)->params;

	return params->types & UBLK_PARAM_TYPE_BASIC ? &params->basic : NULL;
}

GETTER(logical_block_size)
{
	if (basic_of(object))
		ub_value_number(value, 1ULL << (basic_of(object)->logical_bs_shift & 31));
}

GETTER(physical_block_size)
{
	if (basic_of(object))
		ub_value_number(value, 1ULL << (basic_of(object)->physical_bs_shift & 31));
}

GETTER(read_only)
{
	ub_value_number(value, dev_of(object)->read_only);
}

GETTER(queues)
{
	ub_value_number(value, dev_of(object)->info.nr_hw_queues);
}

GETTER(depth)
{
	ub_value_number(value, dev_of(object)->info.queue_depth);
}

GETTER(max_io)
{
	ub_value_number(value, dev_of(object)->info.max_io_buf_bytes);
}

GETTER(data_path)
{
	if (dev_of(object)->managed)
		ub_value_text(value,
			      ub_data_path_names[ub_path_granted(dev_of(object)->info.flags)]);
}

GETTER(batch)
{
	ub_value_number(value, !!(dev_of(object)->info.flags & UBLK_F_BATCH_IO));
}

GETTER(flags)
{
	ub_value_number(value, dev_of(object)->info.flags);
}

GETTER(flags_raw)
{
	(void)snprintf(value->buf, sizeof(value->buf), "0x%llx",
		       (unsigned long long)dev_of(object)->info.flags);
	ub_value_text(value, value->buf);
}

GETTER(recovery)
{
	ub_value_text(value, ub_dev_recovery_name(dev_of(object)->info.flags));
}

GETTER(pid)
{
	if (dev_of(object)->pid > 0)
		ub_value_number(value, (uint64_t)dev_of(object)->pid);
}

GETTER(alive)
{
	ub_value_number(value, dev_of(object)->server_alive);
}

GETTER(version)
{
	if (dev_of(object)->managed && *dev_of(object)->record.version)
		ub_value_text(value, dev_of(object)->record.version);
}

GETTER(threads)
{
	if (dev_of(object)->managed && dev_of(object)->record.threads)
		ub_value_number(value, dev_of(object)->record.threads);
}

GETTER(owner_uid)
{
	ub_value_number(value, dev_of(object)->info.owner_uid);
}

GETTER(owner_gid)
{
	ub_value_number(value, dev_of(object)->info.owner_gid);
}

GETTER(managed)
{
	ub_value_number(value, dev_of(object)->managed);
}

GETTER(record_error)
{
	if (dev_of(object)->record_error.code)
		ub_value_text(value, dev_of(object)->record_error.msg);
}

GETTER(target)
{
	const struct ub_spec *spec = &dev_of(object)->record.spec;

	if (!dev_of(object)->managed || !spec->target)
		return;
	ub_value_text(value, spec->target->name);
	value->options = spec->target->options;
	value->values = spec->target_args;
}

GETTER(backing)
{
	if (dev_of(object)->managed)
		ub_value_text(value, dev_of(object)->record.backing.path);
}

/* Memory: unknown, which is not nothing, as long as it is not measured. */

static void set_memory(const void *object, struct ub_value *value, uint64_t bytes)
{
	if (dev_of(object)->memory.known)
		ub_value_number(value, bytes);
}

GETTER(mapped)
{
	set_memory(object, value, dev_of(object)->memory.total.mapped);
}

GETTER(resident)
{
	set_memory(object, value, dev_of(object)->memory.total.resident);
}

GETTER(dirty)
{
	set_memory(object, value, dev_of(object)->memory.total.dirty);
}

GETTER(swapped)
{
	set_memory(object, value, dev_of(object)->memory.total.swapped);
}

GETTER(locked)
{
	set_memory(object, value, dev_of(object)->memory.total.locked);
}

GETTER(pinned)
{
	set_memory(object, value, dev_of(object)->memory.pinned);
}

GETTER(charged)
{
	set_memory(object, value, dev_of(object)->memory.charged);
}

static const char *remark_number(char *buf, size_t size, uint32_t asked, uint32_t granted)
{
	if (asked == granted)
		return NULL;
	(void)snprintf(buf, size, "%u asked for", asked);
	return buf;
}

static bool remark_queues(const void *object, char *buf, size_t size)
{
	const struct ub_dev *dev = dev_of(object);

	return dev->managed &&
	       remark_number(buf, size, dev->record.spec.queues, dev->info.nr_hw_queues);
}

static bool remark_depth(const void *object, char *buf, size_t size)
{
	const struct ub_dev *dev = dev_of(object);

	return dev->managed &&
	       remark_number(buf, size, dev->record.spec.depth, dev->info.queue_depth);
}

static bool remark_max_io(const void *object, char *buf, size_t size)
{
	const struct ub_dev *dev = dev_of(object);

	return dev->managed &&
	       remark_number(buf, size, dev->record.spec.max_io, dev->info.max_io_buf_bytes);
}

/* Why it is not a faster one. */
static bool remark_path(const void *object, char *buf, size_t size)
{
	static const char *const reasons[] = {
		[UB_REASON_ASKED] = "as asked for",
		[UB_REASON_TARGET] =
			"this target moves no data that a faster one could save copying",
		[UB_REASON_DRIVER] =
			"this kernel's driver has no faster one: zero-copy needs Linux 6.16",
		[UB_REASON_ALIGNMENT] =
			"with zero-copy clients had to align their memory to more than "
			"logical blocks",
		[UB_REASON_USER] = "an ordinary user's device has no faster one",
		[UB_REASON_BUFFERS] = "for what was asked of buffers or threads",
		[UB_REASON_LIMIT] = "to stay within --memory-limit",
	};
	const struct ub_dev *dev = dev_of(object);
	int reason = dev->record.spec.path_reason;

	if (!dev->managed || reason < 0 || reason >= (int)UB_ARRAY_SIZE(reasons) ||
	    !reasons[reason])
		return false;
	(void)snprintf(buf, size, "%s", reasons[reason]);
	return true;
}

/* clang-format off */
static const struct ub_field server_fields[] = {
	{ .key = "pid", .type = UB_FIELD_NUMBER, .column = "PID", .get = get_pid,
	  .help = "process id of the server" },
	{ .key = "alive", .type = UB_FIELD_BOOL, .column = "ALIVE", .get = get_alive,
	  .help = "the server lives" },
	{ .key = "version", .type = UB_FIELD_STRING, .column = "VERSION", .get = get_version,
	  .help = "version of the server" },
	{ .key = "threads", .type = UB_FIELD_NUMBER, .column = "THREADS", .get = get_threads,
	  .help = "threads that serve I/O" },
	UB_FIELD_END,
};

const struct ub_field ub_memory_fields[] = {
	{ .key = "mapped", .type = UB_FIELD_SIZE, .column = "MAPPED", .get = get_mapped,
	  .measured = true, .help = "address space of the server" },
	{ .key = "resident", .type = UB_FIELD_SIZE, .column = "RESIDENT", .get = get_resident,
	  .measured = true, .help = "memory that the server has now" },
	{ .key = "dirty", .type = UB_FIELD_SIZE, .column = "DIRTY", .get = get_dirty,
	  .measured = true, .help = "of that, what is its alone and written" },
	{ .key = "swapped", .type = UB_FIELD_SIZE, .column = "SWAPPED", .get = get_swapped,
	  .measured = true, .help = "memory of the server that is swapped out" },
	{ .key = "locked", .type = UB_FIELD_SIZE, .column = "LOCKED", .get = get_locked,
	  .measured = true, .help = "memory that cannot be swapped out" },
	{ .key = "pinned", .type = UB_FIELD_SIZE, .column = "PINNED", .get = get_pinned,
	  .measured = true, .help = "memory that rings hold for registered buffers" },
	{ .key = "charged", .type = UB_FIELD_SIZE, .column = "CHARGED", .get = get_charged,
	  .measured = true, .help = "what counts against the limit of locked memory" },
	UB_FIELD_END,
};

const struct ub_field ub_deleted_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, .get = get_id },
	{ .key = "name", .type = UB_FIELD_STRING, .get = get_name },
	{ .key = "path", .type = UB_FIELD_STRING, .get = get_path },
	UB_FIELD_END,
};

const struct ub_field ub_device_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, .column = "ID", .get = get_id,
	  .help = "number of the device" },
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", .get = get_name,
	  .help = "name that it was given" },
	{ .key = "path", .type = UB_FIELD_STRING, .column = "PATH", .get = get_path,
	  .help = "path of the block device" },
	{ .key = "state", .type = UB_FIELD_STATE, .column = "STATE", .get = get_state,
	  .help = "live, quiesced, failed or dead" },
	{ .key = "size", .type = UB_FIELD_SIZE, .column = "SIZE", .get = get_size,
	  .help = "size of the device" },
	{ .key = "logical_block_size", .type = UB_FIELD_SIZE, .column = "LOGICAL",
	  .get = get_logical_block_size, .help = "logical block size" },
	{ .key = "physical_block_size", .type = UB_FIELD_SIZE, .column = "PHYSICAL",
	  .get = get_physical_block_size, .help = "physical block size" },
	{ .key = "read_only", .type = UB_FIELD_BOOL, .column = "READ-ONLY", .get = get_read_only,
	  .help = "writes are refused" },
	{ .key = "queues", .type = UB_FIELD_NUMBER, .column = "QUEUES", .get = get_queues,
	  .help = "hardware queues", .remark = remark_queues },
	{ .key = "depth", .type = UB_FIELD_NUMBER, .column = "DEPTH", .get = get_depth,
	  .help = "requests in each queue", .remark = remark_depth },
	{ .key = "max_io", .type = UB_FIELD_SIZE, .column = "MAX-IO", .get = get_max_io,
	  .help = "largest request", .remark = remark_max_io },
	{ .key = "data_path", .type = UB_FIELD_STRING, .column = "DATA-PATH", .get = get_data_path,
	  .help = "how data reaches the server", .remark = remark_path },
	{ .key = "batch", .type = UB_FIELD_BOOL, .column = "BATCH", .get = get_batch,
	  .help = "requests are fetched in batches" },
	{ .key = "flags", .type = UB_FIELD_FLAGS, .column = "FLAGS", .get = get_flags,
	  .help = "features that the driver granted" },
	{ .key = "flags_raw", .type = UB_FIELD_STRING, .column = "FLAGS-RAW", .get = get_flags_raw,
	  .help = "the same as a number" },
	{ .key = "recovery", .type = UB_FIELD_STRING, .column = "RECOVERY", .get = get_recovery,
	  .help = "fate of I/O whose server dies" },
	{ .key = "server", .type = UB_FIELD_OBJECT, .fields = server_fields },
	{ .key = "owner_uid", .type = UB_FIELD_NUMBER, .column = "UID", .get = get_owner_uid,
	  .help = "user who made it" },
	{ .key = "owner_gid", .type = UB_FIELD_NUMBER, .column = "GID", .get = get_owner_gid,
	  .help = "group who made it" },
	{ .key = "managed", .type = UB_FIELD_BOOL, .column = "MANAGED", .get = get_managed,
	  .help = "it is one of ours, not of another program" },
	{ .key = "record_error", .type = UB_FIELD_STRING, .get = get_record_error,
	  .json_only = true },
	{ .key = "target", .type = UB_FIELD_OPTIONS, .column = "TARGET", .get = get_target,
	  .help = "what it serves" },
	{ .key = "backing", .type = UB_FIELD_STRING, .column = "BACKING", .get = get_backing,
	  .help = "file or block device behind it" },
	{ .key = "memory", .type = UB_FIELD_OBJECT, .fields = ub_memory_fields },
	UB_FIELD_END,
};
/* clang-format on */
