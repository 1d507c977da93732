/* SPDX-License-Identifier: MIT */
/* `ublk add --dry-run`: what a device would have in memory, printed; nothing is made. */
#pragma once

#include "command.h"
#include "spec/spec.h"

/* Opens the target only to ask it. Return: the exit status, an error told. */
enum ub_exit ub_dry_run(struct ub_call *call, struct ub_spec *spec);
