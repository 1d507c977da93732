/* SPDX-License-Identifier: MIT */
#include "term.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clean.h"

#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"
#define OTHER_SCREEN "\033[?1049h"
#define FIRST_SCREEN "\033[?1049l"
#define NO_WRAP "\033[?7l"
#define WRAP "\033[?7h"
#define NO_CURSOR "\033[?25l"
#define CURSOR "\033[?25h"
#define HOME "\033[H"
#define TO_END_OF_LINE "\033[K"
#define TO_END_OF_SCREEN "\033[J"

bool ub_term_has_screen(FILE *file)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") != 0 && isatty(fileno(file));
}

bool ub_term_has_colour(FILE *file)
{
	const char *no_colour = getenv("NO_COLOR");

	return !(no_colour && *no_colour) && ub_term_has_screen(file);
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

/* The terminal cuts the lines itself: it knows how wide each character is. */
void ub_term_enter_screen(FILE *file)
{
	(void)fputs(OTHER_SCREEN NO_WRAP NO_CURSOR, file);
	(void)fflush(file);
}

void ub_term_leave_screen(FILE *file)
{
	(void)fputs(CURSOR WRAP FIRST_SCREEN, file);
	(void)fflush(file);
}

static size_t count_rows(FILE *file)
{
	struct winsize size;

	/* A terminal that does not know its size (a serial line) scrolls. */
	return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : SIZE_MAX;
}

void ub_term_draw(FILE *file, const char *text)
{
	size_t rows = count_rows(file), lines = 0;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	(void)fputs(HOME, file);
	for (size_t row = 0; row < lines; row++) {
		size_t len = strcspn(text, "\n");

		if (row)
			(void)fputc('\n', file);
		if (row + 2 > rows && row + 1 < lines) {
			(void)fprintf(file, "... and %zu more" TO_END_OF_LINE, lines - row);
			break;
		}
		(void)fprintf(file, "%.*s" TO_END_OF_LINE, (int)len, text);
		text += len + 1;
	}
	(void)fputs(TO_END_OF_SCREEN, file);
	(void)fflush(file);
}
