/* SPDX-License-Identifier: MIT */
/*
 * A block device opened exclusively, so that nobody can mount it, swap on it or build on it
 * meanwhile. Only for a device that is live: opening one whose server is gone may hang.
 */
#pragma once

#include <stdint.h>

#include "process/helper.h"

struct ub_claim {
	struct ub_helper helper;
};

/*
 * Opens /dev/ublkbN for reading. Return: 0, -EBUSY (somebody else has claimed it, or one of its
 * partitions), -ETIMEDOUT (it hangs), or another negative errno. Whatever it is: release it.
 */
int ub_claim_take(uint32_t id, int timeout_ms, struct ub_claim *ret_claim);
void ub_claim_release(struct ub_claim *claim);

/* The bare open, in this process. Return: a descriptor or a negative errno. */
int ub_claim_open(uint32_t id);
