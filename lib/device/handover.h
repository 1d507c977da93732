/* SPDX-License-Identifier: MIT */
/*
 * What passes between the command line and the server that it starts: a memory file with the task,
 * shared by both, and messages on a socket. Nothing of this is kept anywhere, but the two may be of
 * different versions: a failed upgrade brings the old server program back.
 */
#pragma once

#include <stdint.h>

#include "kernel/uapi.h"

#define UB_HANDOVER_MAGIC 0x75626c6b68616e64ULL
#define UB_HANDOVER_FORMAT 1 /* of all that follows, and of the messages */
#define UB_HANDOVER_TEXT_MAX ((uint32_t)1 << 20)

enum ub_begun {
	UB_BEGUN_NOT,
	UB_BEGUN,      /* the server has its task */
	UB_BEGUN_NEVER /* nobody waits for it any more */
};

struct ub_handover {
	uint64_t magic;
	uint32_t format; /* UB_HANDOVER_FORMAT */
	uint32_t mode;   /* enum ub_launch_mode */
	uint32_t text_len;
	uint32_t bound; /* once committed, the device goes with the command line */
	int32_t caller_fd; /* a descriptor that the server inherits, of its spec (spec/spec.h), or -1 */
	/*
	 * enum ub_begun: what starts the server may not come to that in time (device/spawn.h). Both sides
	 * set it, each only if the other has not.
	 */
	_Atomic uint32_t begun;
	char why_callers
		[128]; /* why it has no control group of its own; "": it has, or needs none */
	/*
	 * The server, whose start has failed, undoes it as soon as its backing has given up the requests
	 * that it has: it is not to be killed. The command line could not remove the device before
	 * either; and up to Linux 6.17, where START_DEV reads the partition table under the device's
	 * lock, a server that dies meanwhile leaves a device that nothing can stop any more.
	 */
	_Atomic uint32_t stays;
	/*
	 * ADD_DEV's argument and result: the kernel writes it, so that the other side knows of the
	 * device even if this one dies in the next instruction. The driver always sets
	 * UBLK_F_CMD_IOCTL_ENCODE, the server never asks for it: with it, the device was added.
	 */
	struct ublksrv_ctrl_dev_info info;
	char text[]; /* the record as JSON, text_len bytes */
};

/* One packet on the socket. From the server: any number of notes, then one of the other two. From
 * the command line: commit, as the answer to ready. */
enum ub_message_type { UB_MESSAGE_NOTE, UB_MESSAGE_ERROR, UB_MESSAGE_READY, UB_MESSAGE_COMMIT };

struct ub_message {
	uint32_t type;
	int32_t code;    /* of an error: negative errno */
	uint32_t stage;  /* of an error */
	uint32_t id;     /* of ready: the device */
	uint32_t undone; /* of an error: nothing is left to be undone */
	char text[600];  /* of a note or an error; NUL-terminated */
};

/* The server's arguments: ublk-server HANDOVER_FD CHANNEL_FD [FRONT]; with a third one, its child
 * that speaks for it, it stays in the foreground. */
