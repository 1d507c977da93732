/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#ifdef UB_FAULTS
#include <errno.h>
#include <signal.h>
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

bool ub_fault_is_wanted(const char *step)
{
	const char *want = getenv("UBLK_FAULT");
	size_t len = strlen(step);

	return want && strncmp(want, step, len) == 0 && (want[len] == '\0' || want[len] == ':');
}

int ub_fault(const char *step)
{
	const char *want = getenv("UBLK_FAULT");
	size_t len = strlen(step);

	if (!ub_fault_is_wanted(step))
		return 0;
	if (want[len] == '\0')
		return -EIO;
	want += len + 1;
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
