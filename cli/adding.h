/* SPDX-License-Identifier: MIT */
/*
 * A device that is to be made, as the command line asks for it: what `add` and `run` have in common.
 * Owns what the options fill; starting a server is ub_launch()'s.
 */
#pragma once

#include "command.h"
#include "interrupt.h"
#include "record/record.h"

#define UB_ADDING_TARGETS_MAX (UB_OPTSETS_MAX - 4)

/* What a command's struct has for it, first of all. */
struct ub_adding {
	char *type;
	struct ub_record record; /* only its spec counts */
	struct ub_interrupt interrupt;
	struct ub_error no_driver; /* why it could not be loaded; code 0: it was, or need not be */
	struct {
		char owner[32], title[128];
	} targets[UB_ADDING_TARGETS_MAX];
};

#define UB_OPT_TYPE(args_type)                                                                \
	{                                                                                     \
		.name = "type", .letter = 't', .type = UB_OPT_STRING,                         \
		.offset = offsetof(args_type, adding.type), .metavar = "TYPE", .required = 1, \
		.completer = "target", .help = "target: what the device serves"               \
	}

/* A command's defaults(), done() and more(), whose struct begins with a struct ub_adding. */
void ub_adding_defaults(void *args);
void ub_adding_done(void *args);
int ub_adding_more(void *args, const struct ub_args *typed, struct ub_optset *ret_sets,
		   struct ub_error *err);

/* The tables of all targets alone, of which the one that is named by -t fills its arguments. Return: how
 * many, or a negative errno with a message. */
int ub_adding_targets(struct ub_adding *adding, const struct ub_args *typed,
		      struct ub_optset *ret_sets, struct ub_error *err);

/* Loads the driver where it can, and refuses kernels that would crash. Return: 0 or a negative errno. */
int ub_adding_prepare(struct ub_adding *adding, struct ub_error *err);
