/* SPDX-License-Identifier: MIT */
#include "device_fields.h"

#include <stdio.h>

#include "base/clean.h"
#include "device/restart.h"
#include "kernel/node.h"
#include "kernel/uapi.h"
#include "spec/data_path.h"

/* Every getter of this file sees a struct ub_dev. */
#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

static const struct ub_dev *dev_of(const void *object)
{
	return object;
}

/* Of another program's device the record says nothing. */
static bool is_managed(const void *object)
{
	return dev_of(object)->managed;
}

/* Unknown is not nothing. */
static bool is_measured(const void *object)
{
	return dev_of(object)->memory.known;
}

GETTER(backing)
{
	const struct ub_record *record = &dev_of(object)->record;
	const struct ub_spec *spec = &record->spec;

	if (record->backings.count) {
		ub_value_text(value, record->backings.at[0].path);
		value->more = record->backings.count - 1;
	} else if (spec->target && spec->target->place) {
		ub_value_text(value, spec->target->place(spec->target_args));
	}
}

static const void *backing_at(const void *object, size_t index)
{
	return dev_of(object)->record.backings.at[index].path;
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

GETTER(flags_raw)
{
	(void)snprintf(value->buf, sizeof(value->buf), "0x%llx",
		       (unsigned long long)dev_of(object)->info.flags);
	ub_value_text(value, value->buf);
}

GETTER(recovery)
{
	ub_value_text(value, ub_recovery_names[ub_dev_recovery(dev_of(object)->info.flags)]);
}

GETTER(restart)
{
	ub_value_text(value, ub_restart_names[dev_of(object)->restart.state]);
}

/* Where it can't be told, it stays open. */
static bool is_told(const void *object)
{
	return dev_of(object)->server.answer != UB_SERVED_UNKNOWN;
}

GETTER(alive)
{
	ub_value_number(value, dev_of(object)->server.answer == UB_SERVED_YES);
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
		[UB_REASON_TARGET] = "with this target no other one is faster in every case",
		[UB_REASON_DRIVER] =
			"this kernel's driver has no faster one: zero-copy needs Linux 6.16",
		[UB_REASON_ALIGNMENT] =
			"with zero-copy clients had to align their memory to more than "
			"logical blocks",
		[UB_REASON_USER] = "an ordinary user's device has no faster one",
		[UB_REASON_BUFFERS] = "for what was asked of buffers or threads",
		[UB_REASON_LIMIT] = "to stay within --memory-limit",
		[UB_REASON_STABLE] =
			"what lies behind checks what is written, which with zero-copy a client "
			"could change meanwhile",
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
#define AT(member) UB_AT(struct ub_dev, member)
#define CHARS(member) UB_AT_CHARS(struct ub_dev, member)

static const struct ub_field restart_fields[] = {
	{ .key = "state", .type = UB_FIELD_STATE, .column = "RESTART", .when = is_managed, .get = get_restart,
	  .help = "is a new server started when it dies" },
	{ .key = "count", .type = UB_FIELD_NUMBER, .column = "RESTARTS", AT(restart.count), .when = is_managed,
	  .help = "servers that were started so" },
	UB_FIELD_END,
};

static const struct ub_field server_fields[] = {
	{ .key = "pid", .type = UB_FIELD_NUMBER, .column = "PID", AT(server.pid), .positive = true,
	  .help = "process id of the server" },
	{ .key = "alive", .type = UB_FIELD_BOOL, .column = "ALIVE", .when = is_told, .get = get_alive,
	  .help = "the server lives" },
	{ .key = "version", .type = UB_FIELD_STRING, .column = "VERSION", CHARS(record.version), .when = is_managed,
	  .help = "version of the server" },
	{ .key = "threads", .type = UB_FIELD_NUMBER, .column = "THREADS", AT(record.threads), .when = is_managed, .positive = true,
	  .help = "threads that serve I/O" },
	UB_FIELD_END,
};

const struct ub_field ub_memory_fields[] = {
	{ .key = "mapped", .type = UB_FIELD_SIZE, .column = "MAPPED", AT(memory.total.mapped),
	  .measured = true, .when = is_measured, .help = "address space of the server" },
	{ .key = "resident", .type = UB_FIELD_SIZE, .column = "RESIDENT", AT(memory.total.resident),
	  .measured = true, .when = is_measured, .help = "memory that the server has now" },
	{ .key = "dirty", .type = UB_FIELD_SIZE, .column = "DIRTY", AT(memory.total.dirty),
	  .measured = true, .when = is_measured, .help = "of that, what is its alone and written" },
	{ .key = "swapped", .type = UB_FIELD_SIZE, .column = "SWAPPED", AT(memory.total.swapped),
	  .measured = true, .when = is_measured, .help = "memory of the server that is swapped out" },
	{ .key = "locked", .type = UB_FIELD_SIZE, .column = "LOCKED", AT(memory.total.locked),
	  .measured = true, .when = is_measured, .help = "memory that cannot be swapped out" },
	{ .key = "pinned", .type = UB_FIELD_SIZE, .column = "PINNED", AT(memory.pinned),
	  .measured = true, .when = is_measured, .help = "memory that rings hold for registered buffers" },
	{ .key = "charged", .type = UB_FIELD_SIZE, .column = "CHARGED", AT(memory.charged),
	  .measured = true, .when = is_measured, .help = "what counts against the limit of locked memory" },
	UB_FIELD_END,
};

const struct ub_field ub_deleted_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, AT(id) },
	{ .key = "name", .type = UB_FIELD_STRING, AT(record.spec.name), .when = is_managed },
	{ .key = "path", .type = UB_FIELD_STRING, .get = get_path },
	UB_FIELD_END,
};

const struct ub_field ub_device_fields[] = {
	{ .key = "id", .type = UB_FIELD_NUMBER, .column = "ID", AT(id),
	  .help = "number of the device" },
	{ .key = "name", .type = UB_FIELD_STRING, .column = "NAME", AT(record.spec.name), .when = is_managed,
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
	{ .key = "read_only", .type = UB_FIELD_BOOL, .column = "READ-ONLY", AT(read_only),
	  .help = "writes are refused" },
	{ .key = "queues", .type = UB_FIELD_NUMBER, .column = "QUEUES", AT(info.nr_hw_queues),
	  .help = "hardware queues", .remark = remark_queues },
	{ .key = "depth", .type = UB_FIELD_NUMBER, .column = "DEPTH", AT(info.queue_depth),
	  .help = "requests in each queue", .remark = remark_depth },
	{ .key = "max_io", .type = UB_FIELD_SIZE, .column = "MAX-IO", AT(info.max_io_buf_bytes),
	  .help = "largest request", .remark = remark_max_io },
	{ .key = "data_path", .type = UB_FIELD_STRING, .column = "DATA-PATH", .get = get_data_path,
	  .help = "how data reaches the server", .remark = remark_path },
	{ .key = "batch", .type = UB_FIELD_BOOL, .column = "BATCH", .get = get_batch,
	  .help = "requests are fetched in batches" },
	{ .key = "flags", .type = UB_FIELD_FLAGS, .column = "FLAGS", AT(info.flags),
	  .help = "features that the driver granted" },
	{ .key = "flags_raw", .type = UB_FIELD_STRING, .column = "FLAGS-RAW", .get = get_flags_raw,
	  .help = "the same as a number" },
	{ .key = "recovery", .type = UB_FIELD_STRING, .column = "RECOVERY", .get = get_recovery,
	  .help = "fate of I/O whose server dies" },
	{ .key = "restart", .type = UB_FIELD_OBJECT, .fields = restart_fields },
	{ .key = "server", .type = UB_FIELD_OBJECT, .fields = server_fields },
	{ .key = "owner_uid", .type = UB_FIELD_NUMBER, .column = "UID", AT(info.owner_uid),
	  .help = "user who made it" },
	{ .key = "owner_gid", .type = UB_FIELD_NUMBER, .column = "GID", AT(info.owner_gid),
	  .help = "group who made it" },
	{ .key = "managed", .type = UB_FIELD_BOOL, .column = "MANAGED", AT(managed),
	  .help = "it is one of ours, not of another program" },
	{ .key = "record_error", .type = UB_FIELD_STRING, CHARS(record_error.msg),
	  .json_only = true },
	{ .key = "target", .type = UB_FIELD_OPTIONS, .column = "TARGET", .get = get_target,
	  .help = "what it serves" },
	{ .key = "backing", .type = UB_FIELD_STRING, .column = "BACKING", .get = get_backing, .when = is_managed,
	  .help = "file or disk behind it (of several the first), or where that is" },
	{ .key = "backings", .type = UB_FIELD_LIST, AT(record.backings.count), .at = backing_at, .when = is_managed,
	  .json_only = true },
	{ .key = "memory", .type = UB_FIELD_OBJECT, .fields = ub_memory_fields },
	UB_FIELD_END,
};
/* clang-format on */
