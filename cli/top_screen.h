/* SPDX-License-Identifier: MIT */
/*
 * The terminal of `ublk top`: cells to write to and keys that are pressed, by ncurses, which no other file knows.
 * Knows nothing of what is shown.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum ub_look {
	UB_LOOK_PLAIN,
	UB_LOOK_BOLD,
	UB_LOOK_REVERSE,
	UB_LOOK_MARKED, /* in what is reversed */
	/* These are colours, where there are any. */
	UB_LOOK_GOOD,
	UB_LOOK_NOTE,
	UB_LOOK_BAD,
};

/* Takes the terminal. No signal may come meanwhile that ends or stops this process: the caller holds them.
 * Return: 0, or a negative errno with a message. */
int ub_top_screen_open(bool colour, struct ub_error *err);
/* Gives it back as it was. Does nothing if it is not open. */
void ub_top_screen_close(void);

/* The window is another one now. */
void ub_top_screen_resize(void);
/* Gives the terminal back, stops this process, and takes it again when that goes on. */
void ub_top_screen_stop(void);
/* Somebody else has had the terminal: all is drawn anew. */
void ub_top_screen_renew(void);

int ub_top_screen_rows(void);
int ub_top_screen_columns(void);

/* A key that was pressed, as top.h has it; UB_KEY_NONE: no more. */
unsigned ub_top_screen_key(void);

/* A picture: begun, put together and shown. What is beyond the window is left out. */
void ub_top_screen_begin(void);
/* @width: of the place, filled up with blanks and cut to; negative: @text stands at its right. */
void ub_top_screen_put(int row, int column, int width, enum ub_look look, const char *text);
void ub_top_screen_show(void);
