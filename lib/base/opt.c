/* SPDX-License-Identifier: MIT */
#include "base/opt.h"

#include <stdlib.h>

void ub_opt_free_strings(const struct ub_opt *options, void *args)
{
	if (!options || !args)
		return;
	for (const struct ub_opt *opt = options; opt->name; opt++) {
		char **text = (void *)((char *)args + opt->offset);

		if (opt->type != UB_OPT_STRING)
			continue;
		free(*text);
		*text = NULL;
	}
}
