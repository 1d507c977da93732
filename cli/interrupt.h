/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C and its like while something is under way that has to be undone in order: they become
 * readable at a descriptor, and kill only when all is clean, or are taken and passed on.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/signalfd.h>

struct ub_interrupt {
	int fd; /* a signalfd; -1: not open */
	sigset_t before, held;
};

/* Holds SIGINT, SIGTERM and SIGHUP back, those that are ignored aside. Return: 0 or -errno. */
int ub_interrupt_open(struct ub_interrupt *ret_interrupt);

/* Holds these back, those that are ignored aside: a signal that is blocked would be kept even then, and
 * nohup would be none. Return: 0 or -errno. */
int ub_interrupt_hold(const int *signals, size_t count, struct ub_interrupt *ret_interrupt);

/* Takes one that has come, so that it kills nobody. Return: false if there is none. */
bool ub_interrupt_take(const struct ub_interrupt *interrupt, struct signalfd_siginfo *ret_info);

/* Whether one has come; it stays to be told again. */
bool ub_interrupt_is_there(const struct ub_interrupt *interrupt);

/* Around what is written to @file, whose reader may stand still: they kill meanwhile. (Not at a terminal, where
 * Ctrl-C has the writer go on.) */
void ub_interrupt_let(const struct ub_interrupt *interrupt, FILE *file);
void ub_interrupt_hold_again(const struct ub_interrupt *interrupt);

/* Lets signals be as they were: one that came kills this process now. */
void ub_interrupt_close(struct ub_interrupt *interrupt);
