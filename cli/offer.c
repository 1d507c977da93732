/* SPDX-License-Identifier: MIT */
#include "offer.h"

#include "text.h"

void ub_offer(FILE *file, const char *word, const char *description)
{
	(void)fprintf(file, "%s\t", word);
	ub_put_escaped(file, description);
	(void)fputc('\n', file);
}
