/* SPDX-License-Identifier: MIT */
/*
 * Which data path a device has, and whether in batches: what options and targets exclude, what
 * "auto" takes. Knows the driver by its feature flags alone.
 */
#pragma once

#include "spec/spec.h"

/* The data path that "auto" stands for, as long as nothing is known of the driver. */
int ub_spec_path(const struct ub_spec *spec);

/* Has a path a pool, whose buffers only I/Os under way take? */
bool ub_path_has_pool(int path);
/* Has an I/O a buffer of the server's, sooner or later? */
bool ub_path_has_buffers(int path, const struct ub_target *target);

/* Replaces "auto" by the fastest path where the driver (@features: UBLK_F_*), the
 * open target and what else is asked for let it, and no client sees a difference; keeps the reason
 * in @spec, and notes what a client sees of a path that was asked for. */
void ub_spec_choose_path(struct ub_spec *spec, const struct ub_tgt *tgt, uint64_t features,
			 struct ub_notes *notes);

/* What ADD_DEV has to ask for, UBLK_F_*. */
uint64_t ub_spec_path_flags(const struct ub_spec *spec);

/* The data path that a device's flags mean. */
int ub_path_granted(uint64_t flags);

/* Do the options about buffers, batches and threads go with the path? Return: 0, or a negative
 * errno with a message. */
int ub_spec_check_path(const struct ub_spec *spec, struct ub_error *err);

/* Is there a pool that --buffer-memory could cap, if it is given? Return: as above. */
int ub_spec_check_pool(const struct ub_spec *spec, int path, struct ub_error *err);

/* An ordinary user asked for an @option's @value. Return: -EPERM with a message. */
int ub_spec_needs_root(struct ub_error *err, const char *option, const char *value);
