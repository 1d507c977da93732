/* SPDX-License-Identifier: MIT */
#include "device/claim.h"

#include <errno.h>
#include <fcntl.h>

#include "device/device.h"
#include "kernel/node.h"

int ub_claim_open(uint32_t id)
{
	char path[32];
	int fd = open(ub_dev_block_path(id, path), O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

static int hold(const void *arg)
{
	int fd = ub_claim_open(*(const uint32_t *)arg);

	/* Open until the process ends. */
	return fd < 0 ? fd : 0;
}

int ub_claim_take(uint32_t id, int timeout_ms, struct ub_claim *ret_claim)
{
	int ret = ub_helper_start(&ret_claim->helper, hold, &id), result;

	if (!ret)
		ret = ub_helper_wait(&ret_claim->helper, timeout_ms, &result);
	return ret ? ret : result;
}

void ub_claim_release(struct ub_claim *claim)
{
	ub_helper_end(&claim->helper);
}
