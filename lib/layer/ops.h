/* SPDX-License-Identifier: MIT */
/* Which I/Os a layer is for: the option `ops` that most of them have, and what it says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/uapi.h"
#include "target/io.h"

#define UB_LAYER_OPS_ALL UINT32_MAX
#define UB_LAYER_OPS_HELP \
	"of these alone: read, write, flush, discard, zeroes, with + between (default: all)"

/* Reads "read+write"; NULL: all. Return: 0, or -EINVAL with a message that begins with @layer. */
int ub_layer_ops(const char *layer, const char *text, uint32_t *ret_mask, struct ub_error *err);

static inline bool ub_layer_has(uint32_t mask, const struct ub_io *io)
{
	return mask >> io->op & 1;
}
