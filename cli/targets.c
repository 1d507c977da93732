/* SPDX-License-Identifier: MIT */
#include "targets.h"

#include <errno.h>
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

int ub_target_choose_for(struct ub_spec *spec, const char *name, struct ub_error *err)
{
	const struct ub_target *target = ub_target_choose(name, err);

	if (!target)
		return -EINVAL;
	if (target == spec->target || ub_spec_set_target(spec, target) == 0)
		return 0;
	return ub_fail(err, UB_STAGE_NONE, -ENOMEM, "cannot choose a target");
}
