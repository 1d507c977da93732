/* SPDX-License-Identifier: MIT */
/* Whether two descriptions are of one device. */
#pragma once

#include "spec/spec.h"

/*
 * Would what was asked for, its paths absolute, be this very device? @kept is the specification of
 * one that was made: with that filled in which @asked left to be chosen. The number is not looked
 * at, and the log may lie elsewhere.
 */
bool ub_spec_is_same(const struct ub_spec *asked, const struct ub_spec *kept);

/* An option that differs, and the structs that its table fills. */
typedef void ub_spec_each_fn(void *arg, const struct ub_opt *opt, const void *asked,
			     const void *kept);

/*
 * The same, told by options: @each (may be NULL) is called for every one that differs. Of another target
 * that alone is told, by the number 1.
 * Return: how many differ, or -ENOMEM.
 */
int ub_spec_differ(const struct ub_spec *asked, const struct ub_spec *kept, ub_spec_each_fn *each,
		   void *arg);
