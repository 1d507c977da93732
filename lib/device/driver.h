/* SPDX-License-Identifier: MIT */
/*
 * The driver as a module: is it there, may this process load it, and loading it, by modprobe, which
 * knows what the administrator has configured. Knows no device.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Does the running kernel have it, loaded or built in? /dev may still lack its node. */
bool ub_driver_is_loaded(void);

/* May this process load modules: CAP_SYS_MODULE, not merely in a namespace of users, and the
 * sysctl kernel.modules_disabled not set. */
bool ub_driver_may_load(void);

/*
 * Would it be loaded? Asks modprobe, and changes nothing.
 * Return: 0, or -ENOENT with a message of stage UB_STAGE_CONTROL that says what modprobe says.
 */
int ub_driver_try_load(struct ub_error *err);

/* Loads it, where that is neither done nor forbidden. Return: 0, also where it is forbidden; or as
 * above. */
int ub_driver_load(struct ub_error *err);

/* What something has failed of that needs the driver: @err, or why ub_driver_load() could not load it. */
const struct ub_error *ub_driver_cause(const struct ub_error *no_driver,
				       const struct ub_error *err);
