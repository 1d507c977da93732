/* SPDX-License-Identifier: MIT */
/* What this process may do beyond an ordinary user. */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>

/* Does it have this capability (CAP_*) effectively? */
bool ub_has_cap(unsigned cap);
