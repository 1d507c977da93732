/* SPDX-License-Identifier: MIT */
#include "kernel/node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

int ub_parse_dev_id(const char *text, uint32_t *ret_id)
{
	const char *p = text;
	uint64_t id;

	if (strncmp(p, "/dev/", 5) == 0) {
		p += 5;
		if (strncmp(p, "ublk", 4) != 0)
			return -EINVAL;
	}
	if (strncmp(p, "ublkb", 5) == 0 || strncmp(p, "ublkc", 5) == 0)
		p += 5;
	/* The kernel writes no leading zeroes and no 0x, so nothing with them is a device. */
	if (*p == '0' && p[1])
		return -EINVAL;
	if (ub_parse_u64(p, UB_DEV_ID_MAX, &id) != 0)
		return -EINVAL;
	*ret_id = (uint32_t)id;
	return 0;
}

const char *ub_dev_block_path(uint32_t id, char buf[static 32])
{
	(void)snprintf(buf, 32, "/dev/ublkb%u", id);
	return buf;
}

const char *ub_dev_char_path(uint32_t id, char buf[static 32])
{
	(void)snprintf(buf, 32, "/dev/ublkc%u", id);
	return buf;
}
