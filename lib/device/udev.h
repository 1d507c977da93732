/* SPDX-License-Identifier: MIT */
/* udev, as far as a device needs it: whether it runs, and whether it has our rules. */
#pragma once

#include <stdbool.h>

#define UB_UDEV_CONTROL "/run/udev/control"

enum ub_udev_rules { UB_UDEV_RULES_NONE, UB_UDEV_RULES_EMPTY, UB_UDEV_RULES_THERE };

bool ub_udev_runs(void);

/* Rules of that name, in the first folder that has them: it stands in for those after it.
 * @ret_folder: a static string, the last folder where there are none. */
enum ub_udev_rules ub_udev_find_rules(const char *name, const char **ret_folder);
