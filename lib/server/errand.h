/* SPDX-License-Identifier: MIT */
/*
 * Errands: what may wait for I/O on the server's own device, or must not leave a kernel worker
 * behind in the server, is done by a process of its own: this very program, run once more.
 *
 * STOP_DEV waits for requests that only the server can end. Sent by a worker thread of the server
 * it makes that process unkillable: the worker waits for the requests, and the driver ends those
 * only when the dying process has closed its char device, which it does after its workers are gone.
 * The same holds for opening the device, which reads partition tables, and up to Linux 6.17 for
 * START_DEV. A program that is executed shares no memory, so unlike a forked one it keeps neither
 * the descriptors' mapping nor a ring, and with them the char device, in use.
 */
#pragma once

struct server;

enum server_errand {
	ERRAND_CHECK,      /* may the device be recovered? -EBUSY: not yet, -EALREADY: it lives,
			   * -ENOTRECOVERABLE: it is dead, -EINVAL: it never may */
	ERRAND_START,      /* START_DEV, and the I/O scheduler */
	ERRAND_START_OPEN, /* the same, and waits until the node is there and opens */
	ERRAND_START_SCAN, /* the same, and looks for partitions */
	ERRAND_OPEN,       /* waits until the node is there and opens */
	ERRAND_TRY_STOP,   /* stops the device unless somebody uses it: -EBUSY */
	ERRAND_WAIT_STOP,  /* the same, when nobody uses it any more */
	ERRAND_PARK,       /* QUIESCE_DEV, and waits until all that was begun has ended */
	ERRAND_FLUSH,      /* writes what the kernel keeps of it in memory (device/flush.h) */
	ERRAND_STOP,
};

/*
 * Runs an errand while the server's events are taken care of. One that is to bring the device up
 * ends early with -EINTR when the command line went away or a SIGTERM came, or with the error of a
 * queue that died; one that comes before a stop by force ends with -EINTR at the next SIGTERM.
 * Once the device is live the server's `live` is set, whatever else the errand comes to.
 * @timeout_ms: negative for ever. What does not end by a SIGKILL is left behind.
 * Return: 0, a negative errno, -ETIMEDOUT.
 */
int server_errand(struct server *s, enum server_errand errand, int timeout_ms);

/* The other side: ublk-server errand NAME ID TOKEN PID SCHEDULER. Return: the exit status, an errno. */
int server_errand_main(char **argv);
