/* SPDX-License-Identifier: MIT */
/*
 * `ublk watch`: looks at the machine's devices whenever something may have changed, and tells what has.
 * What tells of itself is looked at when it does; what does not (requests that fail, some uses) from time to
 * time, as long as there is a device that it can happen to, and only if it is to be told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "command.h"

struct ub_watch_args {
	uint32_t kinds;     /* bits of enum ub_change_kind; 0: all */
	uint32_t count;     /* ends after so many events; 0: never */
	uint32_t timeout_s; /* 0: none */
	bool initial;       /* tells which devices there are, first */
};

/*
 * The devices are those of the call's operands and @id (-1: none), or all.
 * Return: the exit status, errors told. A signal kills.
 */
enum ub_exit ub_watch(struct ub_call *call, const struct ub_watch_args *args, int id);
