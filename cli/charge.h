/* SPDX-License-Identifier: MIT */
/*
 * One device that is to be restarted: whether it needs a server, when the next attempt is due, and the
 * `ublk recover` that makes it. Knows nothing of other devices, nor when to look.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "device/device.h"

struct ub_charge {
	uint32_t id;
	uint64_t token;
	struct ub_restart restart;
	unsigned attempts; /* in a row */
	int64_t live_ms;   /* since when it has been seen with a server; 0: it has none */
	int64_t next_ms;   /* no attempt before */
	bool needs_server;
	bool is_there;
	pid_t child; /* the recovery that is under way, or 0 */
	int pidfd;
	int output; /* what it says */
};

/* What is known of it now. */
void ub_charge_see(struct ub_charge *charge, const struct ub_dev *dev);

/*
 * Its turn: begins an attempt if one is due.
 * @program: this one's path
 * Return: milliseconds until it is worth another look, or -1: when something happens.
 */
int ub_charge_try(struct ub_charge *charge, const char *program, struct ub_log *log);

/* The attempt has ended. @status: as waitpid() has it */
void ub_charge_ended(struct ub_charge *charge, int status, struct ub_log *log);

/* Closes what it has open; an attempt that is under way goes on. */
void ub_charge_drop(struct ub_charge *charge);
