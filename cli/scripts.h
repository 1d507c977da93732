/* SPDX-License-Identifier: MIT */
/* The shells' completion scripts: the files of completions/, as they stood there at the build. */
#pragma once

#include <stddef.h>

struct ub_script {
	const char *shell;
	const char *loads; /* how one tries it: a line for that shell */
	const char *text;  /* ends with a NUL */
};

extern const struct ub_script ub_scripts[]; /* ends with one that is all NULL */
