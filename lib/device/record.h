/* SPDX-License-Identifier: MIT */
/*
 * The record of a device of ours: /run/ublk/N.json (an ordinary user's: $XDG_RUNTIME_DIR/ublk).
 * It holds what the kernel cannot tell: the specification, the backing's identity, the server's
 * identity; enough to recover. What is in the directory is input: it may be absent, old, truncated
 * or hostile, and is believed only when its token is the one that the kernel keeps for the device
 * (ublksrv_ctrl_dev_info.ublksrv_flags, given at ADD_DEV).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "device/spec.h"
#include "kernel/uapi.h"
#include "memory/layout.h"
#include "memory/plan.h"

#define UB_RECORD_SCHEMA "ublk.record/1"

/* Where a server's own memory lies, so that it can be told apart from outside. */
struct ub_record_memory {
	uint64_t base; /* address of the first queue's stretch; 0: not known */
	struct ub_layout layout;
	uint64_t target_base, target_size;           /* what the target maps; size 0: nothing */
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
	int data_path;  /* enum ub_data_path, never auto */
	/* The server. */
	int32_t pid;
	uint64_t start_time; /* of the process, clock ticks since boot, from /proc/PID/stat */
	uint32_t threads;
	struct ub_record_memory memory;
	bool taking_over; /* it recovers the device, and has not fetched everything yet */
	struct ub_backing backing;
	int write_error; /* negative errno of a failed write-back, or 0 */
	struct ub_notes notes;
};

void ub_record_done(struct ub_record *record);

/*
 * The directory of the records of this process's user: "/run/ublk" for root, "$XDG_RUNTIME_DIR/ublk"
 * or else "/run/user/UID/ublk" for others. UBLK_RUNTIME_DIR overrides it (tests, containers), if it
 * is an absolute path and the program runs with no more rights than its caller (secure_getenv):
 * sudo drops it, so root gets only what root has set. Whatever it is, it is used only while it
 * belongs to this user or root and nobody else may write there.
 * Return: @buf, or NULL when it is too small.
 */
const char *ub_record_dir(char *buf, size_t size);

/*
 * As JSON text. @launch: also the options of one call (foreground, timeout, ...), as a server needs
 * them that is to be started.
 * Return: text to be freed, or NULL without memory.
 */
char *ub_record_to_json(const struct ub_record *record, bool launch);

/* Return: 0, -EBADMSG with a message (not JSON, wrong schema, wrong types or ranges), -ENOMEM. */
int ub_record_from_json(const char *text, size_t len, struct ub_record *ret_record,
			struct ub_error *err);

/*
 * Writes the record so that a reader sees the old one or the new one, never a part: a file beside
 * it, renamed. Creates the directory (0755). Follows no links.
 */
int ub_record_write(const struct ub_record *record, struct ub_error *err);

/*
 * Reads device @id's record. Nothing is believed that does not belong to this user (or root) or
 * that others may write; ids and tokens are the caller's to compare.
 * Return: 0, -ENOENT, -EBADMSG, -EPERM (not safe to believe), or another negative errno.
 */
int ub_record_read(uint32_t id, struct ub_record *ret_record, struct ub_error *err);

/* Removes the record of @id if its token is @token. Return: 0 also when there is none. */
int ub_record_remove(uint32_t id, uint64_t token);

/* Tells whether device @id exists with this token: a record of one that does not counts nothing. */
struct ub_record_alive {
	bool (*is_there)(void *arg, uint32_t id, uint64_t token);
	void *arg;
};

/*
 * Looks for a record that claims the same backing (by device and inode, or by
 * device number), where one of the two is served for writing, its server dead or alive.
 * Return: 1 with @ret_id, 0, or a negative errno.
 */
int ub_record_find_claim(const struct ub_backing *backing, const struct ub_record_alive *alive,
			 uint32_t *ret_id);

/* Looks for a device that has this name. Return: as above. */
int ub_record_find_name(const char *name, const struct ub_record_alive *alive, uint32_t *ret_id);
