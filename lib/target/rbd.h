/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the target rbd share: rbd.c has what is asked, and is in every program; lib/rbd/ has what librbd
 * does, and is in ublk-server-rbd alone; rbd_absent.c stands for it in the others.
 */
#pragma once

#include "target/target.h"

struct ub_rbd_args {
	char *image; /* [POOL/[NAMESPACE/]]IMAGE */
	char *snap;
	char *conf; /* resolved: an absolute path */
	char *user, *cluster;
};

#define UB_RBD_POOL "rbd" /* where none is named */

/* The parts of an image's name. */
struct ub_rbd_name {
	char pool[128], space[128], image[128]; /* @space: "": none */
};

/* Return: 0, or -EINVAL with a message. */
int ub_rbd_parse_name(const char *text, struct ub_rbd_name *ret_name, struct ub_error *err);

/* Of struct ub_target. */
int ub_rbd_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		struct ub_notes *notes, struct ub_error *err);
int ub_rbd_connect(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		   struct ub_notes *notes, struct ub_error *err);
void ub_rbd_submit(struct ub_queue *q, struct ub_io *io);
void ub_rbd_rest(struct ub_queue *q);
void ub_rbd_complete(struct ub_queue *q, struct ub_io *io, unsigned id, int res);
int64_t ub_rbd_room(struct ub_tgt *tgt);
int ub_rbd_make_room(struct ub_tgt *tgt, uint64_t size);
void ub_rbd_let_go(struct ub_tgt *tgt);
void ub_rbd_close(struct ub_tgt *tgt);

/* What is planned of each I/O. */
struct ub_rbd_io {
	struct ub_queue *queue;
	struct ub_io *io;
	uint8_t op; /* that librbd is at */
};
