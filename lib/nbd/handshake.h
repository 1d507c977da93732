/* SPDX-License-Identifier: MIT */
/*
 * The handshake of NBD, fixed newstyle, as steps that do no I/O themselves: each says what is to be sent or
 * received next, so that it runs on a blocking socket as well as on a ring. Knows the wire, and no socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "nbd/wire.h"

/* What a server says of an export. */
struct ub_nbd_export {
	uint64_t size;  /* bytes */
	uint16_t flags; /* NBD_EXPORT_* */
	/* Bytes; of a server that says nothing of them 1, 4096 and 32 MiB, as the protocol has it. Most:
	 * UINT32_MAX: there is no limit. */
	uint32_t block_min, block_preferred, block_max;
};

enum ub_nbd_step {
	UB_NBD_SEND,    /* @data, all of it */
	UB_NBD_RECEIVE, /* into @data, all of it */
	UB_NBD_FOUND,   /* of a list: an export's name and description are in data */
	UB_NBD_SECURE,  /* TLS has to be begun on the connection: what comes next is encrypted */
	UB_NBD_DONE
};

enum ub_nbd_wish {
	UB_NBD_GO,   /* into the export: then its requests follow */
	UB_NBD_INFO, /* only what it is; another handshake may follow on the same connection */
	UB_NBD_LIST
};

enum ub_nbd_start {
	UB_NBD_ANEW,     /* a new connection, in plain text */
	UB_NBD_ANEW_TLS, /* a new connection, to be encrypted before anything is asked for */
	UB_NBD_GREETED /* the server has greeted, and it is encrypted if that was wanted: for an INFO or a list */
};

struct ub_nbd_handshake {
	/* What the last step has asked for. */
	void *data;
	size_t len;
	struct ub_nbd_export export; /* of GO and INFO: known when it is done */
	/* Of a list: the last export that was found; text is not checked for anything. */
	char *name, *description;
	size_t name_len, description_len;
	/* Its own. */
	enum ub_nbd_wish wish;
	int state;
	bool tls; /* is to begin */
	bool has_export;
	uint32_t type, payload; /* of the option's reply */
	size_t asked_len;
	char asked[NBD_NAME_MAX + 1]; /* the export's name */
	char buf[NBD_OPTION_SIZE + 4 + 8 + 2 * NBD_NAME_MAX];
};

/* @name: of the export; "": the server's default; of a list it does not matter. Return: 0, or -ENAMETOOLONG. */
int ub_nbd_begin(struct ub_nbd_handshake *h, enum ub_nbd_wish wish, const char *name,
		 enum ub_nbd_start start);

/* What comes next, when what came before has been done as a whole. Return: a step, or a negative errno with a
 * message: -EPROTO: it is no such server, or it speaks nonsense, or has no TLS; -ENOENT: it has no such export. */
int ub_nbd_next(struct ub_nbd_handshake *h, struct ub_error *err);
