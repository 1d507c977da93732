/* SPDX-License-Identifier: MIT */
#include "flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/features.h"

static const char *known_name(uint64_t bit)
{
	for (const struct ub_feature *feature = ub_features; feature->name; feature++) {
		if (feature->bit == bit)
			return feature->name;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void ub_flag_names(uint64_t mask, struct ub_flag_names *ret_names)
{
	ret_names->count = 0;
	for (unsigned i = 0; i < 64; i++) {
		const char *name;

		if (!(mask >> i & 1))
			continue;
		name = known_name(1ULL << i);
		if (!name) {
			(void)snprintf(ret_names->unknown[i], sizeof(ret_names->unknown[i]),
				       "bit_%u", i);
			name = ret_names->unknown[i];
		}
		ret_names->names[ret_names->count++] = name;
	}
	qsort(ret_names->names, ret_names->count, sizeof(ret_names->names[0]), compare);
}
