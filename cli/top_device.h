/* SPDX-License-Identifier: MIT */
/* One device on the screen of `ublk top`: what it is, its queues, and how long requests took. */
#pragma once

#include "top.h"

/* Return: 0 or -ENOMEM. */
int ub_top_put_device(const struct ub_top *top, const struct ub_stat *stat);
