/* SPDX-License-Identifier: MIT */
/*
 * A device's specification: everything that the user asked of it, and all that a server needs to
 * serve it. Filled by the command line or from a record, by the same option tables. Knows the
 * targets, and of the driver what can be asked of it at all; no device and no process.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/opt.h"
#include "layer/layer.h"
#include "target/target.h"

enum ub_data_path {
	UB_PATH_AUTO,
	UB_PATH_COPY,
	UB_PATH_USER_COPY,
	UB_PATH_GET_DATA,
	UB_PATH_ZERO_COPY
};

/* "auto" is off: doc/performance.md says why. */
enum ub_batch_choice { UB_BATCH_AUTO, UB_BATCH_ON, UB_BATCH_OFF };

/* Why a device has the data path that it has, and not a faster one. */
enum ub_path_reason {
	UB_REASON_BEST, /* there is none */
	UB_REASON_ASKED,
	UB_REASON_TARGET,
	UB_REASON_DRIVER,
	UB_REASON_ALIGNMENT,
	UB_REASON_USER,
	UB_REASON_BUFFERS,
	UB_REASON_LIMIT,
	UB_REASON_STABLE
};

enum ub_recovery {
	UB_RECOVERY_NONE,
	UB_RECOVERY_REQUEUE,
	UB_RECOVERY_REISSUE,
	UB_RECOVERY_FAIL,
	UB_RECOVERY_DEFAULT
};

/* CPUs that a machine may have (the driver wants room for every one that could be plugged in). */
#define UB_CPUS_MAX 8192U
#define UB_IOS_MAX 16384U /* of a thread: slots of a ring (IORING_MAX_REG_BUFFERS of the kernel) */
#define UB_SHARE_MAX 256U /* queues of a thread (struct ub_io) */
#define UB_NODE_MAX 1023  /* of NUMA nodes, the largest */

#define UB_SCHEDULER_NONE "none"
#define UB_SCHEDULER_KEEP "keep" /* the one that is there; no scheduler's name */
#define UB_SCHEDULER_MAX 15      /* characters of a name (ELV_NAME_MAX of the kernel) */

struct ub_spec {
	int id; /* -1: the kernel chooses */
	char *name;
	uint32_t queues, depth;
	uint32_t max_io;        /* bytes in one request, at the most */
	int data_path;          /* enum ub_data_path */
	int path_reason;        /* no option: enum ub_path_reason */
	int batch;              /* enum ub_batch_choice */
	uint64_t buffer_memory; /* bytes that buffers of all queues may take at once; 0: no limit */
	uint64_t memory_limit;  /* bytes that the device may have in memory at the most; 0: none */
	int recovery;           /* enum ub_recovery */
	uint32_t logical_block_size, physical_block_size, io_min, io_opt; /* 0: the target's */
	uint32_t threads; /* that serve, over all queues; 0: one for each queue */
	uint32_t stall_s; /* after which a request that is in hand is told of; 0: never */
	uint32_t poll_us; /* that a thread looks for requests before it sleeps */
	char *cpus;       /* that threads run on, as ub_parse_cpus() takes it; NULL: the queue's */
	int numa_node;    /* that buffers and state come from; -1: that of each queue's CPUs */
	bool read_only, rotational, no_partition_scan, no_discard, no_lock, mlock, huge_pages;
	char *log_file;  /* absolute; NULL: the journal */
	int log_level;   /* index into ub_log_levels */
	char *scheduler; /* the disk's, for I/O, or "keep"; NULL: none */
	char *config;    /* absolute; the file that this was read from; NULL: it was typed */
	bool stay;       /* the server, in the control group of who starts it */
	bool restart;    /* a new server when the device's own dies (device/restart.h) */
	/* Of one call, not of the device: */
	bool foreground, adopt; /* no options of the device: those of `add` */
	bool no_wait, strict;
	bool unprivileged; /* no option: the caller's devices are those of an ordinary user */
	bool bound;        /* no option: the device goes with the process that has added it */
	int caller_fd; /* no option: what the target's path names (target/caller.h), or what the server
			    * before has handed over; -1: none */
	uint32_t timeout_s;
	const struct ub_target *target;
	void *target_args; /* owned; target->args_size bytes */
	struct ub_layer_list layers;
};

/* The options of a device that every target has: they fill a struct ub_spec. */
extern const struct ub_opt ub_spec_options[];

extern const char *const ub_data_path_names[];   /* by enum ub_data_path, NULL-terminated */
extern const char *const ub_batch_names[];       /* by enum ub_batch_choice, NULL-terminated */
extern const char *const ub_path_reason_names[]; /* by enum ub_path_reason, NULL-terminated */
extern const char *const ub_recovery_names[];    /* by enum ub_recovery; "default" is no choice */

/* Sets the defaults; no target yet. */
void ub_spec_init(struct ub_spec *spec);

/* Chooses the target: allocates its arguments with their defaults. Return: 0 or -ENOMEM. */
int ub_spec_set_target(struct ub_spec *spec, const struct ub_target *target);

/* Threads that serve each queue of @depth requests: at the most one for each request. They do not
 * get more when the driver grants fewer queues than were asked for. */
uint32_t ub_spec_threads_per_queue(const struct ub_spec *spec, uint32_t depth);
/* Queues that a thread serves, of @queues in all: more than one where there are fewer threads. */
uint32_t ub_spec_queues_per_thread(const struct ub_spec *spec, uint32_t queues);
/* Threads that serve a device with @queues of @depth requests. */
uint32_t ub_spec_threads(const struct ub_spec *spec, uint32_t queues, uint32_t depth);
/* The same before there is a device: the driver makes no more queues than the machine has CPUs. */
uint32_t ub_spec_threads_to_come(const struct ub_spec *spec);
/* Requests that a thread of it serves, at the most. */
uint32_t ub_spec_ios(const struct ub_spec *spec, uint32_t queues, uint32_t depth);

/*
 * The CPUs of --cpus that thread @thread of all @threads gets: they are dealt out, one after the
 * other, until all are given and every thread has one. @ret_cpus: @size bytes, CPU_ALLOC_SIZE() of
 * UB_CPUS_MAX.
 * Return: how many; 0: there is no --cpus; or a negative errno: it is no such list.
 */
int ub_spec_deal_cpus(const struct ub_spec *spec, unsigned thread, unsigned threads,
		      cpu_set_t *ret_cpus, size_t size);

/* Frees what it owns; takes a half-built one. */
void ub_spec_done(struct ub_spec *spec);
