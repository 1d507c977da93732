/* SPDX-License-Identifier: MIT */
/*
 * How a command line that is being typed may go on: finds what its last word can be by the option
 * tables. Knows no shell; what values there are is completers.h's affair.
 *
 * The shells' scripts (completions/) hold no list of anything. They ask `ublk complete` at every Tab:
 * so they are right for whatever program is called, installed or not, and its parser decides what a
 * word is. The answer is a line
 *
 *   KIND TAB PREFIX
 *
 * and one for each word that fits, whatever has been typed of it:
 *
 *   WORD TAB DESCRIPTION
 *
 * KIND is "words"; "list", where a comma and more may follow; or "files", of which the shell knows
 * how they are named and quoted. PREFIX is what stands before the WORDs in what was typed:
 * "--columns=ID,". No answer: nothing is known. Nothing is ever told on standard error.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "command.h"

/*
 * @words: all behind the program's name, NULL-terminated; the last one is being typed, and may be
 * empty
 * @kind_only: the first line is enough
 */
void ub_complete(FILE *file, const struct ub_command *const *commands, const char *const words[],
		 bool kind_only);
