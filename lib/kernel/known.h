/* SPDX-License-Identifier: MIT */
/*
 * Kernels that are known to have faults which matter to ublk: one table, with the source of each
 * claim. Knows version numbers, and asks nobody but uname().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ub_known_fault {
	/* Either exactly the releases that these patterns (fnmatch) name, NULL-terminated ... */
	const char *const *releases;
	/* ... or all from this version up to, and without, the next. UB_LINUX() */
	uint32_t first, fixed;
	bool fatal;       /* `add` would crash the kernel: it does not try */
	const char *what; /* lower case, no full stop */
	const char *way;  /* out: something to do */
	const char *source;
};

#define UB_LINUX(major, minor, patch) ((uint32_t)(major) << 20 | (minor) << 10 | (patch))

/* The last one's what is NULL. */
extern const struct ub_known_fault ub_known_faults[];

/* "6.12.107+deb13-cloud-amd64" as UB_LINUX(6, 12, 107); what is missing is 0. */
uint32_t ub_linux_version(const char *release);

/* Does the kernel of this release have it? */
bool ub_known_fault_has(const struct ub_known_fault *fault, const char *release);

/* Return: 0, or -EOPNOTSUPP with a message if the running kernel is one that `add` would crash. */
int ub_known_refuse(struct ub_error *err);
