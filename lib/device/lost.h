/* SPDX-License-Identifier: MIT */
/* A device whose record is lost, or can't be used. */
#pragma once

#include "device/device.h"
#include "record/record.h"

/*
 * Makes a record of what the driver knows of @dev (info and params): what was granted, and the options
 * that show in it. What only the server knew has its default (name, CPUs, limits), the size is the driver's,
 * and nothing is said of what lies behind.
 * Return: 0 with @ret_record, to be freed by ub_record_done(), or -ENOMEM.
 */
int ub_lost_record(const struct ub_dev *dev, const struct ub_target *target,
		   struct ub_record *ret_record);
