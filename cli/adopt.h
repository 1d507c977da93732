/* SPDX-License-Identifier: MIT */
/* ublk add --adopt: the device that a server of the same description has left when it died. */
#pragma once

#include "base/error.h"
#include "device/device.h"
#include "spec/spec.h"

/* @spec: as the target's call() made it. Return: 1 with the device, to be freed by ub_dev_done(); 0:
 * there is none; or a negative errno. */
int ub_adopt_find(const struct ub_spec *spec, struct ub_dev *ret_dev, struct ub_error *err);
