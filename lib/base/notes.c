/* SPDX-License-Identifier: MIT */
#include "base/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ub_note(struct ub_notes *notes, const char *fmt, ...)
{
	va_list ap;

	if (notes->count == UB_NOTES_MAX) {
		(void)snprintf(notes->text[UB_NOTES_MAX - 1], UB_NOTE_SIZE,
			       "more notes than can be kept");
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(notes->text[notes->count], UB_NOTE_SIZE, fmt, ap);
	va_end(ap);
	notes->count++;
}

void ub_note_once(struct ub_notes *notes, const char *text)
{
	for (unsigned i = 0; i < notes->count; i++)
		if (strcmp(notes->text[i], text) == 0)
			return;
	ub_note(notes, "%s", text);
}
