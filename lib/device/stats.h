/* SPDX-License-Identifier: MIT */
/*
 * What a device has done so far, read from outside without anybody's help: what its server counts in the
 * file beside the record, or of a device without that what the block layer counts.
 */
#pragma once

#include "device/device.h"
#include "stats/times.h"

enum ub_dev_times { UB_TIMES_READ, UB_TIMES_WRITE, UB_TIMES_OTHER, UB_TIMES_COUNT };

/* Of a number that nobody counts. */
#define UB_STATS_NOT_KNOWN UINT64_MAX

/* Requests that are in hand for longer than --stall-sec. */
struct ub_dev_stall {
	uint64_t ios[UB_STATS_OPS]; /* of each thread's all count as the operation of one */
	uint64_t since_ms;          /* on the clock of ub_now_ms(): of the first; if there is any */
};

struct ub_dev_sum {
	struct ub_stats_op op[UB_STATS_OPS];
	struct ub_times times[UB_TIMES_COUNT];
	uint64_t in_flight;
	struct ub_dev_stall stall;
};

/* Return: how many there are. */
uint64_t ub_dev_stalled(const struct ub_dev_stall *stall);

/* Of one thread that serves. */
struct ub_dev_part {
	uint32_t queue;  /* the first one of its queues, */
	uint32_t thread; /* and which it is of those that share it */
	struct ub_dev_sum sum;
};

struct ub_dev_stats {
	bool by_server; /* false: by the block layer, which tells neither errors nor times */
	uint64_t since; /* seconds since 1970; 0: not known */
	struct ub_dev_sum all;
	struct ub_dev_part *parts; /* owned */
	size_t count;
};

/* Return: 0, -ENOENT (there is no such disk), or another negative errno. */
int ub_dev_stats_read(const struct ub_dev *dev, struct ub_dev_stats *ret_stats);
void ub_dev_stats_done(struct ub_dev_stats *stats);

/* The file alone, in a folder; what is stalled is that of a server which may have gone. Return: 0, -ENOENT, -EPERM (it is not safe to believe), -EBADMSG (it is not
 * as it should be), or another negative errno. */
int ub_dev_stats_read_file(int dirfd, uint32_t id, uint64_t token, struct ub_dev_stats *ret_stats);

/*
 * What came since @before, another reading of the same device; what was begun anew meanwhile, or if it is NULL,
 * counts whole. Return: 0 with @ret_stats to be freed, -ESTALE (it was counted by somebody else), or
 * -ENOMEM.
 */
int ub_dev_stats_since(const struct ub_dev_stats *stats, const struct ub_dev_stats *before,
		       struct ub_dev_stats *ret_stats);
