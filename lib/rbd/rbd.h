/* SPDX-License-Identifier: MIT */
/*
 * What the parts of this folder share. Together they are the target rbd (target/rbd.h) as ublk-server-rbd serves it:
 * open.c reads the configuration in the caller's place, heap.c bounds what the libraries allocate, connect.c reaches the cluster, image.c the image, lock.c
 * keeps other clients from writing, size.c notices another size, io.c turns I/Os into calls of librbd and their
 * ends back.
 */
#pragma once

#include <pthread.h>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <stdatomic.h>

#include "target/rbd.h"

/* Of a list of monitors, and of one of keyrings, as text. */
#define UB_RBD_HOSTS_SIZE 16384
#define UB_RBD_KEYRINGS_SIZE 4096

/* An open image. The queues read it, but for what is atomic. */
struct ub_rbd {
	/* From the caller's place. */
	int conf_fd, keyring_fd;             /* -1: there is none */
	int keyring_error;                   /* negative errno of one that is there; 0: none is */
	char keyrings[UB_RBD_KEYRINGS_SIZE]; /* where one was looked for */
	char hosts[UB_RBD_HOSTS_SIZE];       /* the monitors, by address */

	rados_t cluster;
	rados_ioctx_t pool;
	rbd_image_t image;
	bool has_image;
	bool caches; /* what is acknowledged may not be in the cluster before a flush */
	bool locked;
	/* Another client has taken the image, and the cluster takes nothing more. */
	atomic_bool fenced;

	/* Of size.c. */
	uint64_t watch;
	bool watches;
	int changed_fd; /* written when the image has changed, or the thread is to end */
	atomic_bool ending;
	bool has_thread;
	pthread_t thread;
	_Atomic uint64_t size; /* of the image, bytes */
};

/* Before the libraries have a thread. */
void ub_rbd_bound_memory(void);
/* What they have freed, and keep to have it again, goes back to the kernel, without a wait for anything. */
void ub_rbd_give_back(void);

/* Opens what is asked for, or in a recovery what the record names, and fills ub_tgt.remote.id. Return: 0, or a negative
 * errno with a message. */
int ub_rbd_open_image(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		      const struct ub_open_request *req, struct ub_error *err);
/* Fills in what the image is and can. Return: the same. */
int ub_rbd_describe(struct ub_tgt *tgt, const struct ub_rbd_args *a,
		    const struct ub_open_request *req, struct ub_notes *notes,
		    struct ub_error *err);

/* Takes the image's lock, of a server before if @req says so, and fills ub_tgt.remote.holder. Return: 0, or a
 * negative errno with a message: -EBUSY: another client has it. */
int ub_rbd_lock(struct ub_tgt *tgt, const char *place, const struct ub_open_request *req,
		struct ub_notes *notes, struct ub_error *err);

/* Looks whether that would be refused, and takes nothing. Return: the same. */
int ub_rbd_check_lock(const struct ub_rbd *r, const char *place, const struct ub_open_request *req,
		      struct ub_error *err);

/* Notices from now on when the image gets another size. Without that it is served all the same. Return: 0 or a
 * negative errno. */
int ub_rbd_watch_size(struct ub_tgt *tgt);
void ub_rbd_unwatch_size(struct ub_rbd *r);
