/* SPDX-License-Identifier: MIT */
/*
 * The terminal: the only place that knows escape sequences. Colour is for the words that tell a
 * state, never the only carrier of a meaning.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Whether colour may go to @file: a terminal, no NO_COLOR, TERM neither absent nor "dumb". */
bool ub_term_has_colour(FILE *file);

/* Writes a state word, which is never escaped: it is ours. */
void ub_term_put_state(FILE *file, const char *state, bool colour);
