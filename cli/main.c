/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"

#define OUTPUT_SIZE ((size_t)64 << 10)

/*
 * A closed standard descriptor would be given to the next file that is opened, and what is printed
 * would land in it. What stands for a closed output cannot be written to, so that a lost result is
 * still a failure.
 */
static int hold_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/* Takes the lowest free number, which is this one; kept over exec on purpose. */
		if (open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) != fd)
			return -1;
	}
	return 0;
}

/* Unlike SIG_IGN it does not last over exec(): `ublk run` starts what is none of ours. */
static void ignore(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	static const int ignored[] = {SIGPIPE, SIGXFSZ};

	if (hold_standard_descriptors() != 0)
		return UB_EXIT_FAILED;
	/* A reader who goes away is an error to be told, and undone, not a sudden death; so is a memory
	 * file that is larger than the shell allows. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (signal(ignored[i], ignore) == SIG_IGN)
			(void)signal(ignored[i], SIG_IGN);
	/* So that most results are written at once, when they are complete: of an earlier write that
	 * has failed it could not be told why. Kept until the end. */
	(void)setvbuf(stdout, malloc(OUTPUT_SIZE), _IOFBF, OUTPUT_SIZE);
	/* Whoever ignores it would not hear how its children end. */
	(void)signal(SIGCHLD, SIG_DFL);
	return (int)ub_run(ub_commands, (const char *const *)(argc > 0 ? argv + 1 : argv));
}
