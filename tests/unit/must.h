/* SPDX-License-Identifier: MIT */
/* What is to hold in whatever thread: cmocka's own assertions are for the first one. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define must(what)                                                                               \
	do {                                                                                     \
		if (!(what)) {                                                                   \
			(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                                 \
		}                                                                                \
	} while (0)
