/* SPDX-License-Identifier: MIT */
/*
 * All devices at a glance: what a person needs to choose one, for a tenth of what device.h's list
 * costs, and for people without rights as well. Waits for no device, and not for a driver that hangs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/uapi.h"
#include "record/glance.h"

struct ub_glance {
	uint32_t id;
	bool known; /* info is the driver's word; else only the number is known */
	struct ublksrv_ctrl_dev_info info;
	struct ub_record_glance record; /* all NULL: there is none of ours */
};

/*
 * By ascending id. Where the driver lets this user ask, those are left out that he may not ask
 * about; where it does not, or does not answer, all are there, and none is known.
 * Return: 0 with @ret_list, for ub_glance_list_free(), or a negative errno.
 */
int ub_glance_list(struct ub_glance **ret_list, size_t *ret_count);
void ub_glance_list_free(struct ub_glance *list, size_t count);
