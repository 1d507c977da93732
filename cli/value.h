/* SPDX-License-Identifier: MIT */
/* An option's value, of whatever kind: from text into the struct that its table fills, and back. As scalar.h has
 * them; one that is layers has the text of all of them (layer_text.h), and each that is stored is added. */
#pragma once

#include "scalar.h"

int ub_opt_store(const struct ub_opt *opt, const char *value, void *values, struct ub_error *err);
bool ub_opt_is_given(const struct ub_opt *opt, const void *values);
/* Is the value the same in both structs, as people see it? */
bool ub_opt_is_same(const struct ub_opt *opt, const void *values, const void *others);
char *ub_opt_text(const struct ub_opt *opt, const void *values);
char *ub_opt_exact(const struct ub_opt *opt, const void *values);
