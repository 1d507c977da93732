/* SPDX-License-Identifier: MIT */
/*
 * What is shown in place of the former: on a terminal drawn over it, and again when the window
 * changes or the program was stopped; elsewhere printed below it. Knows no device.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

struct ub_screen {
	FILE *file;
	bool drawn;  /* it is a terminal's */
	int signals; /* a signalfd; -1: none */
	sigset_t before;
	char *text; /* that is shown; NULL: none yet */
};

/* Return: 0 or a negative errno. */
int ub_screen_open(struct ub_screen *screen, FILE *file);

/* Goes back to where the user was, and leaves there what was shown last. */
void ub_screen_close(struct ub_screen *screen);

/* Shows whole lines, if they are others than before. Takes @text. Not flushed where it is printed. */
void ub_screen_show(struct ub_screen *screen, char *text);

/* A signal can be read from @signals: of the window, or a stop, which it then obeys. */
void ub_screen_handle(struct ub_screen *screen);
