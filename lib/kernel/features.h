/* SPDX-License-Identifier: MIT */
/* The driver's feature flags by name. Knows the kernel's interface and nobody else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ub_feature {
	const char *name; /* the kernel's, in lower case and without UBLK_F_ */
	uint64_t bit;
	const char *since;   /* the Linux version that it works in */
	const char *summary; /* one line, lower case, no full stop */
	bool used;           /* this program makes something of it */
};

/* All that are known, by ascending bit; the last one's name is NULL. */
extern const struct ub_feature ub_features[];
