/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Return: a new finding of the check that runs, or NULL. */
static struct ub_finding *add(struct ub_doctor *doctor, enum ub_finding_status status)
{
	struct ub_finding *list = reallocarray(doctor->findings, doctor->count + 1, sizeof(*list));

	if (!list) {
		doctor->failed = true;
		return NULL;
	}
	doctor->findings = list;
	list += doctor->count++;
	*list = (struct ub_finding){.check = doctor->check, .status = status};
	return list;
}

void ub_doctor_good(struct ub_doctor *doctor, const char *fmt, ...)
{
	struct ub_finding *finding = add(doctor, UB_FINDING_GOOD);
	va_list ap;

	if (!finding)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(finding->text, sizeof(finding->text), fmt, ap);
	va_end(ap);
}

void ub_doctor_note(struct ub_doctor *doctor, const char *mend, const char *fmt, ...)
{
	struct ub_finding *finding = add(doctor, UB_FINDING_NOTE);
	va_list ap;

	if (!finding)
		return;
	if (mend)
		(void)snprintf(finding->mend, sizeof(finding->mend), "%s", mend);
	va_start(ap, fmt);
	(void)vsnprintf(finding->text, sizeof(finding->text), fmt, ap);
	va_end(ap);
}

void ub_doctor_bad(struct ub_doctor *doctor, const struct ub_error *err)
{
	const struct ub_facts facts = {.verb = "add"};
	struct ub_finding *finding = add(doctor, UB_FINDING_BAD);
	struct ub_hints hints;

	if (!doctor->verdict)
		doctor->verdict = ub_exit_of(err->stage, err->code);
	if (!finding)
		return;
	(void)snprintf(finding->text, sizeof(finding->text), "%s", err->msg);
	ub_hints_find(err, &facts, &hints);
	if (hints.count)
		(void)snprintf(finding->mend, sizeof(finding->mend), "%s", hints.text[0]);
}
