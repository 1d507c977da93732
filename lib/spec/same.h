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
