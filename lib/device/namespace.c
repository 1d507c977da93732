/* SPDX-License-Identifier: MIT */
#include "device/namespace.h"

#include <string.h>
#include <sys/utsname.h>

#include "process/process.h"

bool ub_namespace_is_in_the_way(void)
{
	struct utsname name;

	return uname(&name) == 0 &&
	       (strncmp(name.release, "6.16", 4) == 0 || strncmp(name.release, "6.17", 4) == 0) &&
	       ub_process_in_namespace();
}
