/* SPDX-License-Identifier: MIT */
/*
 * A program that lives beside a server, and does what that can't do itself or must not wait for: it is asked by a
 * socket, by any thread and without waiting. It ends when that is closed. Knows nothing of what is asked.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* What it finds open, beside /dev/null in place of the first three. The others are its own to close. */
#define UB_BESIDE_CHANNEL 3
#define UB_BESIDE_FDS_MAX 2

struct ub_beside {
	int channel; /* SOCK_SEQPACKET */
	pid_t pid;   /* 0: there is none */
	int pidfd;
};

#define UB_BESIDE_INIT                     \
	{                                  \
		.channel = -1, .pidfd = -1 \
	}

/*
 * Starts @path, in a process group of its own (what is typed at a server in the foreground is not for it) and with
 * the environment of a server. systemd spares it if it spares its starter: ub_program_server_name().
 * @argv: argv[0] is given by @name. Return: 0 or a negative errno.
 */
int ub_beside_start(struct ub_beside *b, const char *path, const char *name, char *argv[]);

/* Sends a message with up to UB_BESIDE_FDS_MAX descriptors, without waiting. Return: 0, -EPIPE: it is no more, or
 * another negative errno. */
int ub_beside_ask(const struct ub_beside *b, const void *message, size_t size, const int *fds,
		  size_t count);

/* The end of its socket, then SIGKILL where that is not enough. Takes what was never started. */
void ub_beside_end(struct ub_beside *b);

/* For the program: the next message, and the descriptors that came with it, to be closed. Return: 0, or a negative errno:
 * there will be none any more. */
int ub_beside_listen(void *message, size_t size, int fds[static UB_BESIDE_FDS_MAX],
		     size_t *ret_count);
