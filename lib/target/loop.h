/* SPDX-License-Identifier: MIT */
/* What the two halves of the loop target share: loop.c opens, loop_io.c serves. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"

/* An open loop target. The queues read it; what they learn about the backing is atomic. */
struct ub_loop {
	uint64_t offset; /* of the device in the backing */
	uint32_t resume; /* a short result is taken up again at a multiple of this */
	bool direct;
	/* Cleared for good when the backing turns out not to have them. */
	_Atomic bool can_zero_range, can_punch, can_discard;
};

void ub_loop_submit(struct ub_queue *q, struct ub_io *io);
void ub_loop_complete(struct ub_queue *q, struct ub_io *io, int res);
