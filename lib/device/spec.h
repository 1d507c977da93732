/* SPDX-License-Identifier: MIT */
/*
 * A device's specification: everything that the user asked of it, and all that a server needs to
 * serve it. Filled by the command line or from a record, by the same option tables. Knows the
 * targets, but neither the kernel nor any process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/opt.h"
#include "target/target.h"

enum ub_data_path {
	UB_PATH_AUTO,
	UB_PATH_COPY,
	UB_PATH_USER_COPY,
	UB_PATH_GET_DATA,
	UB_PATH_ZERO_COPY
};

/* "auto" is off: at depth 32 a batch saves 3 % of the instructions, at depth 1 it costs 5 %. */
enum ub_batch_choice { UB_BATCH_AUTO, UB_BATCH_ON, UB_BATCH_OFF };

enum ub_recovery {
	UB_RECOVERY_NONE,
	UB_RECOVERY_REQUEUE,
	UB_RECOVERY_REISSUE,
	UB_RECOVERY_FAIL,
	UB_RECOVERY_DEFAULT
};

struct ub_spec {
	int id; /* -1: the kernel chooses */
	char *name;
	uint32_t queues, depth;
	uint32_t max_io;        /* bytes in one request, at the most */
	int data_path;          /* enum ub_data_path */
	int batch;              /* enum ub_batch_choice */
	uint64_t buffer_memory; /* bytes that buffers of all queues may take at once; 0: no limit */
	uint64_t memory_limit;  /* bytes that the device may have in memory at the most; 0: none */
	int recovery;           /* enum ub_recovery */
	uint32_t logical_block_size, physical_block_size, io_min, io_opt; /* 0: the target's */
	int numa_node; /* that buffers and state come from; -1: that of each queue's CPUs */
	bool read_only, rotational, no_partition_scan, no_discard, no_lock, mlock, huge_pages;
	char *log_file; /* absolute; NULL: the journal */
	/* Of one call, not of the device: */
	bool foreground, no_wait, strict;
	bool unprivileged; /* no option: the caller's devices are those of an ordinary user */
	uint32_t timeout_s;
	const struct ub_target *target;
	void *target_args; /* owned; target->args_size bytes */
};

/* The options of `add` that every target has: they fill a struct ub_spec. */
extern const struct ub_opt ub_spec_options[];

extern const char *const ub_data_path_names[]; /* by enum ub_data_path, NULL-terminated */
extern const char *const ub_batch_names[];     /* by enum ub_batch_choice, NULL-terminated */
extern const char *const ub_recovery_names[];  /* by enum ub_recovery; "default" is no choice */

/* Sets the defaults; no target yet. */
void ub_spec_init(struct ub_spec *spec);

/* Chooses the target: allocates its arguments with their defaults. Return: 0 or -ENOMEM. */
int ub_spec_set_target(struct ub_spec *spec, const struct ub_target *target);

/* The data path that "auto" stands for, as long as nothing is known of the driver. */
int ub_spec_path(const struct ub_spec *spec);

/* Has a path a pool, whose buffers only I/Os under way take? */
bool ub_path_has_pool(int path);
/* Has an I/O a buffer of the server's, sooner or later? */
bool ub_path_has_buffers(int path, const struct ub_target *target);

/* Replaces "auto" by a faster path, where the driver (@features: UBLK_F_*), the open target and what
 * else is asked for let it, and no client sees a difference. */
void ub_spec_choose_path(struct ub_spec *spec, const struct ub_tgt *tgt, uint64_t features);

/* What ADD_DEV has to ask for, UBLK_F_*. */
uint64_t ub_spec_path_flags(const struct ub_spec *spec);

/*
 * Checks what can be checked without a system call (ranges, combinations, names), and replaces
 * UB_RECOVERY_DEFAULT by what the target can.
 * Return: 0, or -EINVAL with a message of stage UB_STAGE_USAGE.
 */
int ub_spec_check(struct ub_spec *spec, struct ub_error *err);

/* Frees what it owns; takes a half-built one. */
void ub_spec_done(struct ub_spec *spec);

/* Frees the strings that an option table's struct owns. */
void ub_opt_free_strings(const struct ub_opt *options, void *args);
