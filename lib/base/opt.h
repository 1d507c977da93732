/* SPDX-License-Identifier: MIT */
/*
 * What an option is. One static table per command, and one per target, gives the parser, the help,
 * the completions, the man page's check, and (for what describes a device) the record's JSON.
 * Tables live beside the struct that they fill; this file only says what a row is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum ub_opt_type {
	UB_OPT_FLAG,   /* bool; takes no argument */
	UB_OPT_U32,    /* uint32_t */
	UB_OPT_INT,    /* int; a decimal number, never negative on the command line */
	UB_OPT_SIZE,   /* uint64_t bytes: plain, or K, M, G, T, P (1024) */
	UB_OPT_SIZE32, /* uint32_t bytes, written the same way */
	UB_OPT_STRING, /* char *, owned by the struct, NULL when absent */
	UB_OPT_CHOICE, /* int: index into choices */
	UB_OPT_SWITCH, /* int: on 1, off 0, auto -1; in JSON true, false, null */
	UB_OPT_LAYERS, /* struct ub_layer_list (layer/layer.h); each time that it is given adds one */
	UB_OPT_HEX,    /* uint64_t; "0x1f"; only in records, where not every reader keeps 64 bits */
};

struct ub_opt {
	const char *name; /* long name, without dashes; its JSON key has '_' for '-' */
	char letter;      /* short name, or 0 */
	enum ub_opt_type type;
	uint16_t offset;            /* of the field in the struct that the table fills */
	const char *metavar;        /* "SIZE"; NULL for a flag */
	const char *help;           /* one line, lower case, no full stop; says the default */
	const char *const *choices; /* NULL-terminated; of UB_OPT_CHOICE, and of a UB_OPT_STRING
				     * that is a list of some of them, with commas between */
	uint64_t min, max;          /* inclusive range of a number; max 0: no upper limit */
	const char *completer;      /* what completes a value: one that the command line knows */
	const char *conflicts;      /* long names that exclude this one, separated by blanks */
	const char *
		changed_by; /* of a device that is there: the command, where it is one of its own */
	unsigned required : 1;
	unsigned optional : 1;    /* its value, which then stands behind "=" only; it is the first
				   * choice where it is left out */
	unsigned transient : 1;   /* of this one call: not kept in a device's record */
	unsigned chosen : 1;      /* where it is left out, serving may fill it in */
	unsigned elsewhere : 1;   /* says nothing of the device itself */
	unsigned live : 1;        /* can be changed while the device is there */
	unsigned no_operands : 1; /* excludes what is no option: takes the place of DEV... */
};

/* Frees the strings that the struct of a table owns. Takes no table and no struct. */
void ub_opt_free_strings(const struct ub_opt *options, void *args);

#define UB_OPT_END           \
	{                    \
		.name = NULL \
	}
