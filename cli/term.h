/* SPDX-License-Identifier: MIT */
/*
 * The terminal: the only place that knows escape sequences (the screen of top has a library for them). Colour is for the words that tell a
 * state, never the only carrier of a meaning.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Whether colour may go to @file: a terminal, no NO_COLOR, TERM neither absent nor "dumb". */
bool ub_term_has_colour(FILE *file);

/* Writes a state word, which is never escaped: it is ours. */
void ub_term_put_state(FILE *file, const char *state, bool colour);

/* Whether what stands on @file can be drawn over: a terminal that is not dumb. */
bool ub_term_has_screen(FILE *file);

/* Another screen, in place of what the user has seen so far, and back to that. */
void ub_term_enter_screen(FILE *file);
void ub_term_leave_screen(FILE *file);

/* Draws lines over what stands there. What does not fit into the window is cut, and of lines below
 * it is told how many there are. */
void ub_term_draw(FILE *file, const char *text);
