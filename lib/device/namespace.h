/* SPDX-License-Identifier: MIT */
/* Which kernels let no server of a process namespace (a container) start or recover a device. */
#pragma once

#include <stdbool.h>

/* Linux 6.16 and 6.17 want a server's number outside of its namespace, which the server does not know
 * (ublk_ctrl_start_dev()). Is this such a place? */
bool ub_namespace_is_in_the_way(void);
