/* SPDX-License-Identifier: MIT */
/*
 * A device's fields: what `list`, `show` and JSON tell of it. Knows what is known of a device, and
 * neither how it was found nor how it is printed.
 */
#pragma once

#include "device/device.h"
#include "device/placement.h"
#include "device/users.h"
#include "field.h"

#define UB_DEVICES_SCHEMA "ublk.devices/1"
/* Of JSON lines: a device, and one that is no more. */
#define UB_DEVICE_SCHEMA "ublk.device/1"
#define UB_DELETED_DEVICE_SCHEMA "ublk.deleted_device/1"

/* Of a struct ub_dev. */
extern const struct ub_field ub_device_fields[];

/* Of a struct ub_dev: what its server has in memory. */
extern const struct ub_field ub_memory_fields[];

/* Of a struct ub_dev: the same, piece by piece. */
extern const struct ub_field ub_region_list_fields[];

/* Of a struct ub_dev that is no more: which one it was. */
extern const struct ub_field ub_deleted_fields[];

/* What `show` knows besides; the device comes first, so that its own fields work on it too. */
struct ub_dev_detail {
	struct ub_dev dev;
	struct ub_spec defaults; /* of what it was asked for */
	struct ub_users users;
	struct ub_placement *queues;
	size_t queue_count;
	char *group;              /* control group of the server; NULL: not known */
	bool asked;               /* its server, by its control socket */
	int answer;               /* of what ub_control_ask() returns */
	uint64_t stalled_seconds; /* for which a request is in hand for too long; 0: none is */
	unsigned stalled_queue;   /* which has it, */
	uint8_t stalled_op;       /* and UBLK_IO_OP_* of it */
	bool away;                /* what it serves, */
	uint64_t away_seconds;    /* for so long, */
	uint64_t away_tries;      /* and tries since */
	int away_error;           /* errno of the last one */
	bool away_fenced;         /* for good: see struct ub_tgt_away */
	uint64_t served_seconds;  /* since it began to serve, as it has answered */
	char scheduler[UB_SCHEDULER_MAX + 1]; /* of the disk; "" when not known */
	char status[512];                     /* what is wrong; "" when nothing is */
	char action[256];                     /* what to do about it */
};

/* Of a struct ub_dev_detail: a device's fields, and more. */
extern const struct ub_field ub_detail_fields[];

/* The same of one that is well but for its server, which has not answered for @seconds. */
void ub_device_silence(const struct ub_dev *dev, unsigned seconds, char *status, size_t status_size,
		       char *action, size_t action_size);

/* The same of one whose server has had a request in hand for too long. */
void ub_device_stall(const struct ub_dev_detail *detail, char *status, size_t status_size,
		     char *action, size_t action_size);

/* The same of one whose server has lost what it serves. */
void ub_device_away(const struct ub_dev_detail *detail, char *status, size_t status_size,
		    char *action, size_t action_size);

/* What is wrong with a device, and what to do about it: both "" when it is well. */
void ub_device_health(const struct ub_dev *dev, char *status, size_t status_size, char *action,
		      size_t action_size);
