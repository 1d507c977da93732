/* SPDX-License-Identifier: MIT */
/* What a process may do beyond an ordinary user. */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

/* Does it have this capability (CAP_*) effectively? False if it is gone. */
bool ub_process_has_cap(int32_t pid, unsigned cap);

/* Does this one? */
bool ub_has_cap(unsigned cap);
