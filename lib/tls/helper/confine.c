/* SPDX-License-Identifier: MIT */
/* Where the helper lives, and what it may: as little as it needs. */
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tls/helper/helper.h"

/* A user of nobody's files. */
#define NOBODY 65534U

void helper_move(int fd)
{
	(void)setns(fd, CLONE_NEWNS);
}

/* Who is no root has nothing to give away, and where there is no such user the capabilities go all the same. */
void helper_confine(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	(void)!setgroups(0, NULL);
	if (geteuid() == 0) {
		(void)!setresgid(NOBODY, NOBODY, NOBODY);
		(void)!setresuid(NOBODY, NOBODY, NOBODY);
	}
	(void)syscall(SYS_capset, &head, none);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* Another user's rights have taken both away: commit_creds(). */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}
