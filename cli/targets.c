/* SPDX-License-Identifier: MIT */
#include "targets.h"

#include <stddef.h>

#include "guess.h"

const struct ub_target *ub_target_choose(const char *name, struct ub_error *err)
{
	const struct ub_target *target = ub_target_find(name);
	struct ub_guess guess;

	if (target)
		return target;
	ub_guess_init(&guess, name);
	for (const struct ub_target *const *t = ub_targets; *t; t++)
		ub_guess_offer(&guess, (*t)->name);
	(void)ub_guess_fail(&guess, "target", "", err);
	return NULL;
}
