/* SPDX-License-Identifier: MIT */
/*
 * The file that layer `log` writes: a head of one block, then places for records of 32 bytes, which are used
 * in turn, so that the newest are there. Of this machine's byte order. Threads write many at a time, each
 * when what it wrote before is there; in the file they stand about in the order in which they ended.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define UB_IO_LOG_MAGIC "ublkiolg"
#define UB_IO_LOG_VERSION 1U
#define UB_IO_LOG_HEAD 4096U /* bytes before the first record */

struct ub_io_log_head {
	char magic[8];
	uint32_t version, record_size;
	uint64_t places;
	uint64_t
		next; /* place that comes next; UB_IO_LOG_UNKNOWN while it is written, or was by one that died */
	uint64_t
		left_out; /* requests that were not noted, since the file was too slow or could not be written */
};
#define UB_IO_LOG_UNKNOWN UINT64_MAX

struct ub_io_log_record {
	uint64_t began_ns; /* CLOCK_REALTIME; 0: there is none here */
	uint64_t offset;   /* bytes */
	uint32_t len;      /* bytes */
	uint32_t took_us;  /* in all that is below the layer; UINT32_MAX: longer */
	int16_t error;     /* negative errno, or 0 */
	uint8_t op;        /* UBLK_IO_OP_* */
	uint8_t fua;
	uint16_t queue, tag;
};

_Static_assert(sizeof(struct ub_io_log_record) == 32, "it is a file's format");

/* Whether @size bytes begin with the head of such a file. Return: 0, -EBADMSG: they don't,
 * -EPROTONOSUPPORT: of another version. */
int ub_io_log_check(const struct ub_io_log_head *head, size_t size);

/*
 * Reads the records of a file, in the order in which they began.
 * Return: their number with @ret_records, to be freed, and @ret_left_out; or a negative errno with a message.
 */
int64_t ub_io_log_read(const char *path, struct ub_io_log_record **ret_records,
		       uint64_t *ret_left_out, struct ub_error *err);
