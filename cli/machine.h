/* SPDX-License-Identifier: MIT */
/* What hints need to see of the machine. Reads files, changes nothing. */
#pragma once

#include <stdbool.h>

/* The running kernel has the ublk driver as a module. */
bool ub_machine_has_module(void);

/* Debian 12, whose own kernel has no ublk. */
bool ub_machine_is_debian_12(void);

/* A seccomp filter may refuse this process system calls. */
bool ub_machine_has_seccomp(void);

/* The sysctl kernel.io_uring_disabled: 0, 1, 2; -1 where the kernel does not know it. */
int ub_machine_io_uring_disabled(void);

/* New devices' nodes come to /dev by themselves: it is the kernel's (devtmpfs). */
bool ub_machine_makes_nodes(void);
