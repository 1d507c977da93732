/* SPDX-License-Identifier: MIT */
#include "term.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

bool ub_term_has_colour(FILE *file)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (no_colour && *no_colour)
		return false;
	if (!term || !*term || strcmp(term, "dumb") == 0)
		return false;
	return isatty(fileno(file));
}

void ub_term_put_state(FILE *file, const char *state, bool colour)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {
		{"live", GREEN}, {"quiesced", YELLOW}, {"failed", RED}, {"dead", RED},
		{"good", GREEN}, {"note", YELLOW},     {"bad", RED},
	};

	for (size_t i = 0; colour && i < UB_ARRAY_SIZE(colours); i++) {
		if (strcmp(colours[i].state, state) == 0) {
			(void)fprintf(file, "%s%s%s", colours[i].colour, state, PLAIN);
			return;
		}
	}
	(void)fputs(state, file);
}
