/* SPDX-License-Identifier: MIT */
/*
 * Starting a server and waiting for its word: the parent's side of `ublk add` and `ublk recover`.
 *
 * The server is a program of its own (ublk-server), started by fork and exec. It gets one memory
 * file with what it has to do, and one socket. Over the socket come notes, then READY or ERROR, or
 * the end of file if it died; the parent answers READY with a commit once the result has reached
 * the user. Whichever side goes away before that, the other one undoes.
 *
 * In the foreground (record->spec.foreground) the calling process becomes the server, and its child
 * returns from ub_launch(): it does all the same, and the server ends with its exit status if there
 * is an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "record/record.h"

/* What a server is started for. Their numbers are the handover's. */
enum ub_launch_mode {
	UB_LAUNCH_ADD,
	UB_LAUNCH_RECOVER,
	UB_LAUNCH_REHEARSE, /* all of a recovery that comes before it changes anything, beside the server */
	UB_LAUNCH_PARK, /* a recovery that has the server that serves yet park first */
	UB_LAUNCH_KILL, /* ... or kills it */
	UB_LAUNCH_TRY,  /* of an add only what opens the target, to tell about it */
};

struct ub_launch; /* a started server that is not committed yet */

/*
 * Starts a server for @record (in add mode only its spec is used) and waits until it serves; or, for a
 * rehearsal or a try, until it could: ub_launch_abort() ends that.
 * @program: of the server, a descriptor, or -1: the one that is installed with this program.
 * A signal out of @interrupt_fd (a signalfd, or -1) ends the wait: everything is undone and -EINTR
 * returned. On failure everything has been undone, but for a recovery that has begun to fetch, which
 * goes on by itself, and for what the kernel does not let a server end of.
 * Return: 0 with the device's id in @ret_id, or a negative errno.
 */
int ub_launch(enum ub_launch_mode mode, const struct ub_record *record, int program,
	      int interrupt_fd, struct ub_launch **ret_launch, uint32_t *ret_id,
	      struct ub_notes *notes, struct ub_error *err);

/*
 * The user has the result: the server may live, and is restarted from now on if that is wanted. Frees
 * @launch.
 * @ret_bond: of a bound device (record->spec.bound), a descriptor to be closed; when that has happened,
 * or this process is gone, whatever ended it, the server stops and removes the device as soon as nobody
 * uses it. NULL for others. Return: 0, or -EPIPE with a message: all is undone.
 */
int ub_launch_commit(struct ub_launch *launch, int *ret_bond, struct ub_error *err);

/* The result did not reach the user: undoes, waits for the end, frees @launch. */
void ub_launch_abort(struct ub_launch *launch);
