/* SPDX-License-Identifier: MIT */
/*
 * deadline SECONDS CMD ARGS...: runs CMD, which SIGALRM ends after so many seconds. timeout(1) forks for
 * that, and its start takes twice the time of what most tests start, under emulation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: deadline SECONDS CMD [ARGS...]\n");
		return 125;
	}
	alarm((unsigned)strtoul(argv[1], NULL, 10));
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
