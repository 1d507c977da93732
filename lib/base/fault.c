/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#ifdef UB_FAULTS
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int code;
} errors[] = {
	{"EIO", EIO},       {"ENOMEM", ENOMEM}, {"EBUSY", EBUSY},
	{"EINVAL", EINVAL}, {"EPERM", EPERM},   {"ENOSPC", ENOSPC},
	{"ENODEV", ENODEV}, {"EAGAIN", EAGAIN}, {"EMFILE", EMFILE},
};

/* What UBLK_FAULT says after the step's name, or NULL: it names another one, or none. */
static const char *wanted(const char *step)
{
	const char *want = getenv("UBLK_FAULT");
	size_t len = strlen(step);

	/* Its end is one of the characters that strchr() finds. */
	if (!want || strncmp(want, step, len) != 0 || !strchr(":@", want[len]))
		return NULL;
	return want + len;
}

bool ub_fault_is_wanted(const char *step)
{
	return wanted(step);
}

int ub_fault(const char *step)
{
	static atomic_int times;
	const char *want = wanted(step);

	if (!want)
		return 0;
	if (*want == '@') {
		if (atomic_fetch_add(&times, 1) + 1 != want[1] - '0')
			return 0;
		want += 2;
	}
	if (*want == '\0')
		return -EIO;
	want++;
	if (strcmp(want, "kill") == 0)
		(void)raise(SIGKILL);
	if (strcmp(want, "stop") == 0) {
		(void)raise(SIGSTOP);
		return 0;
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(want, errors[i].name) == 0)
			return -errors[i].code;
	return -EIO;
}
#endif
