/* SPDX-License-Identifier: MIT */
/* The keys of `ublk top`, explained on its screen. */
#pragma once

void ub_top_put_help(void);
