/* SPDX-License-Identifier: MIT */
/* The pictures of `ublk top`: the list of devices, one device, the keys. Changes nothing but which part of
 * the list is seen. */
#pragma once

#include "top.h"

/* Return: 0 or -ENOMEM. */
int ub_top_draw(struct ub_top *top);
