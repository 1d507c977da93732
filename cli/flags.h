/* SPDX-License-Identifier: MIT */
/* The names of UBLK_F_* bits, sorted, for people and JSON. Knows the table of features only. */
#pragma once

#include <stdint.h>

struct ub_flag_names {
	unsigned count;
	const char *names[64]; /* constant, or in unknown */
	char unknown[64][8];   /* "bit_21", for what is newer than this program */
};

void ub_flag_names(uint64_t mask, struct ub_flag_names *ret_names);
