/* SPDX-License-Identifier: MIT */
/*
 * What of a specification can be changed while its device is there: the options that are marked `live`.
 * Sets of them are bits, by their places in ub_spec_options. Knows no device.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/spec.h"

/* The set of one option. */
uint64_t ub_live_bit(const struct ub_opt *opt);

/* Is the option in the set that fills this field? */
#define UB_LIVE_HAS(set, field) ub_live_has(set, offsetof(struct ub_spec, field))
bool ub_live_has(uint64_t set, size_t offset);

/*
 * A copy of what can be changed; all else is borrowed from @from, and not to be freed: ub_live_done().
 * Return: 0 or -ENOMEM.
 */
int ub_live_copy(const struct ub_spec *from, struct ub_spec *ret_spec);
void ub_live_done(struct ub_spec *spec);

#define UB_LIVE_ALL UINT64_MAX

/* Those of @set, between two specifications of one device. */
void ub_live_swap(struct ub_spec *a, struct ub_spec *b, uint64_t set);

/* Gives those of @set their defaults. */
void ub_live_reset(struct ub_spec *spec, uint64_t set);

/* "cpus, poll-us"; cut off where that is longer. Return: @buf */
const char *ub_live_names(uint64_t set, char *buf, size_t size);
