/* SPDX-License-Identifier: MIT */
/*
 * The record of a device of ours: N.json in the directory that record/dir.h tells. It holds what the
 * kernel cannot tell: the specification, the backings' identity, the server's identity; enough to
 * recover. What is in the directory is input: it may be absent, old, truncated or hostile, and is
 * believed only when its token is the one that the kernel keeps for the device
 * (ublksrv_ctrl_dev_info.ublksrv_flags, given at ADD_DEV).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/notes.h"
#include "spec/spec.h"
#include "kernel/uapi.h"
#include "memory/layout.h"
#include "memory/plan.h"

/* Where a server's own memory lies, so that it can be told apart from outside. */
struct ub_record_memory {
	uint64_t base; /* address of the first queue's stretch; 0: not known */
	struct ub_layout layout;
	uint64_t target_base, target_size;           /* what the target maps; size 0: nothing */
	bool planned;                                /* it is known how */
	struct ub_plan_region plan[UB_REGION_COUNT]; /* as it was planned; sums over all queues */
};

struct ub_record {
	char version[24]; /* of the server */
	uint32_t id;
	uint64_t token;      /* random; identifies this very device as long as it exists */
	struct ub_spec spec; /* resolved: as it is served, not as it was typed */
	/* Granted by the kernel. */
	uint32_t queues, depth, max_io;
	uint64_t flags; /* UBLK_F_* */
	int data_path;  /* enum ub_data_path; of a device never auto */
	/* The server. */
	int32_t pid;
	uint64_t start_time; /* of the process, clock ticks since boot, from /proc/PID/stat */
	uint32_t threads;
	struct ub_record_memory memory;
	bool taking_over; /* it recovers the device, and has not fetched everything yet */
	bool parked;      /* it has no server by intent (ublk quiesce) */
	bool resizing;    /* its size is being changed: it has the one that the driver has */
	uint32_t changes; /* how often what can be changed live was (ublk set) */
	char *socket;     /* where it is spoken with, an absolute path; owned; NULL: nowhere */
	struct ub_backings backings;
	struct ub_remote remote;
	struct ub_export export;
	bool flushed; /* it has no server any more, and that one has had all flushed that it has written */
	bool may_lose; /* without this server something may be lost that was written, and not flushed */
	int write_error; /* negative errno of a failed write-back, or 0 */
	struct ub_notes notes;
};

void ub_record_done(struct ub_record *record);
