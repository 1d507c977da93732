/* SPDX-License-Identifier: MIT */
/*
 * Starting the process of a server: executed at once or, where systemd runs, by systemd-run, which asks
 * for a scope, waits until the process is in it, and executes the server in its own place. It is what
 * systemd keeps for this; it needs no bus, which is not there early at boot, nor everywhere (busctl
 * does), and no library. What does not come to the server in time is ended, and the server started in
 * its caller's group. Knows neither what the server does then nor what it says.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "device/handover.h"
#include "record/record.h"

struct ub_spawn {
	pid_t pid;
	int pidfd;
	int channel; /* to the server */
};

/*
 * @handover: with @record's task, mapped; a descriptor of it is @handover_fd. In the foreground this
 * process becomes the server, and what returns is its child.
 * @program: of the server, a descriptor, or -1: the one that is installed with this program.
 * @interrupt_fd: a signalfd, or -1; a signal ends the wait for systemd.
 * Return: 0 with @spawn's descriptors to be closed; or a negative errno with a message (-EINTR: a
 * signal), and nothing has begun.
 */
int ub_spawn_server(struct ub_spawn *spawn, const struct ub_record *record, int program,
		    int handover_fd, struct ub_handover *handover, int interrupt_fd,
		    struct ub_error *err);

/*
 * Starts `ublk supervise` (device/restart.h), in a scope of its own too, and away from the caller's session,
 * control group, mounts, folder and descriptors.
 * Return: a child that becomes it, or ends when it runs elsewhere (0) or can't be started; or a negative errno.
 */
pid_t ub_spawn_supervisor(void);
