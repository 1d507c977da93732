/* SPDX-License-Identifier: MIT */
/* What counts against this user's limit of locked memory already. */
#pragma once

#include <stdint.h>

/*
 * Bytes of the rings of all other processes of this user that are charged for them, as far as they
 * can be seen, whatever program they run: where rings are charged (ub_allowance), it is to the user
 * and not to the process, and the kernel tells the sum nowhere.
 */
uint64_t ub_charged_rings(void);
