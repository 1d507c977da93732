/* SPDX-License-Identifier: MIT */
/*
 * The word that a misspelt one was probably meant to be, and what is said of it: for verbs, options,
 * targets, columns and choices alike. Offer all words that there are, then tell.
 */
#pragma once

#include "base/error.h"

struct ub_guess {
	const char *text;
	const char *best; /* NULL: nothing is near enough */
	unsigned distance;
};

/* @text: as it was typed, without dashes; borrowed, as the candidates are. */
void ub_guess_init(struct ub_guess *guess, const char *text);

/* Case does not count. */
void ub_guess_offer(struct ub_guess *guess, const char *candidate);
/* @candidates: NULL-terminated */
void ub_guess_offer_all(struct ub_guess *guess, const char *const *candidates);

/*
 * "unknown WHAT 'TEXT': did you mean 'BEST'?", without the question where nothing is near.
 * @dashes: before both words; "" for none
 * Return: -EINVAL, a usage error.
 */
int ub_guess_fail(const struct ub_guess *guess, const char *what, const char *dashes,
		  struct ub_error *err);

/* Puts the question behind the message that is there, where there is something to ask. */
void ub_guess_ask(const struct ub_guess *guess, const char *dashes, struct ub_error *err);
