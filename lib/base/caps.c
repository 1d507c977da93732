/* SPDX-License-Identifier: MIT */
#include "base/caps.h"

#include <sys/syscall.h>
#include <unistd.h>

bool ub_process_has_cap(int32_t pid, unsigned cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = pid};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &head, caps) == 0 && caps[cap / 32].effective & 1U << cap % 32;
}

bool ub_has_cap(unsigned cap)
{
	return ub_process_has_cap(0, cap);
}
