/* SPDX-License-Identifier: MIT */
#include "record/parts.h"

#include "kernel/node.h"
#include "record/record.h"

/* A number of the kernel's own, of all 64 bits. */
#define NUMBER .type = UB_OPT_SIZE, .max = UINT64_MAX
#define BYTES .type = UB_OPT_SIZE
#define HEX .type = UB_OPT_HEX

/* clang-format off */
#define AT(field) .offset = offsetof(struct ub_record, field)

const struct ub_opt ub_record_head[] = {
	{ .name = "id", .type = UB_OPT_U32, AT(id), .max = UB_DEV_ID_MAX, .required = 1 },
	{ .name = "token", HEX, AT(token), .required = 1 },
	{ .name = "parked", .type = UB_OPT_FLAG, AT(parked) },
	{ .name = "resizing", .type = UB_OPT_FLAG, AT(resizing) },
	{ .name = "may-lose", .type = UB_OPT_FLAG, AT(may_lose) },
	{ .name = "flushed", .type = UB_OPT_FLAG, AT(flushed) },
	{ .name = "changes", .type = UB_OPT_U32, AT(changes) },
	UB_OPT_END,
};

const struct ub_opt ub_record_granted[] = {
	{ .name = "queues", .type = UB_OPT_U32, AT(queues), .max = UBLK_MAX_NR_QUEUES },
	{ .name = "depth", .type = UB_OPT_U32, AT(depth), .max = UBLK_MAX_QUEUE_DEPTH },
	{ .name = "max-io", .type = UB_OPT_U32, AT(max_io) },
	{ .name = "flags", HEX, AT(flags) },
	{ .name = "data-path", .type = UB_OPT_CHOICE, AT(data_path), .choices = ub_data_path_names },
	{ .name = "path-reason", .type = UB_OPT_CHOICE, AT(spec.path_reason),
	  .choices = ub_path_reason_names },
	UB_OPT_END,
};

const struct ub_opt ub_record_server[] = {
	{ .name = "pid", .type = UB_OPT_INT, AT(pid) },
	{ .name = "start-time", NUMBER, AT(start_time) },
	{ .name = "threads", .type = UB_OPT_U32, AT(threads) },
	{ .name = "taking-over", .type = UB_OPT_FLAG, AT(taking_over) },
	{ .name = "socket", .type = UB_OPT_STRING, AT(socket) },
	UB_OPT_END,
};

const struct ub_opt ub_record_memory[] = {
	{ .name = "base", HEX, AT(memory.base) },
	{ .name = "stride", BYTES, AT(memory.layout.stride) },
	UB_OPT_END,
};

const struct ub_opt ub_record_target_memory[] = {
	{ .name = "base", HEX, AT(memory.target_base) },
	{ .name = "size", BYTES, AT(memory.target_size) },
	UB_OPT_END,
};

#undef AT
#define AT(field) .offset = offsetof(struct ub_layout, field) - offsetof(struct ub_layout, offset)

const struct ub_opt ub_record_range[] = {
	{ .name = "offset", HEX, AT(offset) },
	{ .name = "size", BYTES, AT(size) },
	UB_OPT_END,
};

#undef AT
#define AT(field) .offset = offsetof(struct ub_plan_region, field)

const struct ub_opt ub_record_region[] = {
	{ .name = "mapped", BYTES, AT(mapped) },
	{ .name = "start", BYTES, AT(start) },
	{ .name = "most", BYTES, AT(most) },
	{ .name = "locked", BYTES, AT(locked) },
	{ .name = "pinned", BYTES, AT(pinned) },
	{ .name = "charged", BYTES, AT(charged) },
	UB_OPT_END,
};

#undef AT
#define AT(field) .offset = offsetof(struct ub_backing, field), .required = 1

const struct ub_opt ub_record_backing[] = {
	{ .name = "path", .type = UB_OPT_STRING, AT(path) },
	{ .name = "dev", NUMBER, AT(dev) },
	{ .name = "ino", NUMBER, AT(ino) },
	{ .name = "rdev", NUMBER, AT(rdev) },
	{ .name = "size", BYTES, AT(size) },
	{ .name = "writable", .type = UB_OPT_FLAG, AT(writable) },
#undef AT
/* An older version has not written these. */
#define AT(field) .offset = offsetof(struct ub_backing, field)
	{ .name = "real", .type = UB_OPT_STRING, AT(real) },
	{ .name = "offset", BYTES, AT(offset) },
	{ .name = "length", BYTES, AT(length) },
	{ .name = "handle", .type = UB_OPT_STRING, AT(handle) },
	{ .name = "handle-opens", .type = UB_OPT_FLAG, AT(handle_opens) },
	{ .name = "unsteady", .type = UB_OPT_FLAG, AT(unsteady) },
	{ .name = "born-ns", NUMBER, AT(born_ns) },
	{ .name = "fsid", NUMBER, AT(fsid) },
	{ .name = "diskseq", NUMBER, AT(diskseq) },
	{ .name = "disk-id", .type = UB_OPT_STRING, AT(disk_id) },
	UB_OPT_END,
};

#undef AT
#define AT(field) .offset = offsetof(struct ub_remote, field)

const struct ub_opt ub_record_remote[] = {
	{ .name = "id", .type = UB_OPT_STRING, AT(id), .required = 1 },
	{ .name = "holder", .type = UB_OPT_STRING, AT(holder) },
	UB_OPT_END,
};

#undef AT
#define AT(field) .offset = offsetof(struct ub_export, field), .required = 1

const struct ub_opt ub_record_export[] = {
	{ .name = "size", NUMBER, AT(size), .min = 1 },
	{ .name = "flags", .type = UB_OPT_U32, AT(flags) },
	{ .name = "block-min", .type = UB_OPT_U32, AT(block_min), .min = 1 },
	{ .name = "block-preferred", .type = UB_OPT_U32, AT(block_preferred), .min = 1 },
	{ .name = "block-max", .type = UB_OPT_U32, AT(block_max), .min = 1 },
	UB_OPT_END,
};
/* clang-format on */
