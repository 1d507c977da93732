/* SPDX-License-Identifier: MIT */
#include "guess.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define GUESS_LENGTH_MAX 32

void ub_guess_init(struct ub_guess *guess, const char *text)
{
	/* Only what is nearer than this is offered. */
	*guess = (struct ub_guess){.text = text, .distance = 2 + (unsigned)strlen(text) / 4};
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

static bool is_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many letters must be put in, taken out, changed or swapped with their neighbour. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][GUESS_LENGTH_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *swap;

	for (size_t j = 0; j <= b_len; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + !is_same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) &&
			    is_same(a[i - 2], b[j - 1]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[b_len];
}

void ub_guess_offer(struct ub_guess *guess, const char *candidate)
{
	size_t len = strlen(guess->text), candidate_len = strlen(candidate);
	unsigned d;

	if (len < 2 || len > GUESS_LENGTH_MAX || candidate_len > GUESS_LENGTH_MAX)
		return;
	/* An abbreviation, or a longer word for the same. */
	if (strncasecmp(guess->text, candidate, len) == 0 ||
	    (candidate_len > 2 && strncasecmp(guess->text, candidate, candidate_len) == 0))
		d = 0;
	else
		d = distance(guess->text, len, candidate, candidate_len);
	if (d < guess->distance) {
		guess->distance = d;
		guess->best = candidate;
	}
}

void ub_guess_offer_all(struct ub_guess *guess, const char *const *candidates)
{
	for (; *candidates; candidates++)
		ub_guess_offer(guess, *candidates);
}

int ub_guess_fail(const struct ub_guess *guess, const char *what, const char *dashes,
		  struct ub_error *err)
{
	(void)ub_fail_usage(err, "unknown %s '%s%s'", what, dashes, guess->text);
	ub_guess_ask(guess, dashes, err);
	return -EINVAL;
}

void ub_guess_ask(const struct ub_guess *guess, const char *dashes, struct ub_error *err)
{
	if (guess->best)
		ub_error_add(err, ": did you mean '%s%s'?", dashes, guess->best);
}
