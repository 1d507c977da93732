/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the NBD target share: nbd.c opens, nbd_io.c turns I/Os into requests and replies into ends,
 * nbd_link.c keeps the connection up.
 */
#pragma once

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "nbd/address.h"
#include "nbd/handshake.h"
#include "target/target.h"

#define UB_NBD_BATCH 64U          /* requests that are sent at once */
#define UB_NBD_STAGE (64U * 1024) /* bytes that are received at once */

/* An open export. The queues read it, but for what is atomic. */
struct ub_nbd {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int dir; /* of a unix socket; -1: it is TCP */
	char name[NBD_NAME_MAX + 1];
	struct ub_nbd_export export;
	int64_t hold_ms;    /* that I/O waits for a server that is away; -1: as long as it takes */
	uint32_t request_s; /* after which an answer does not come any more */
	bool write_through; /* writes are durable when they end */
	const char *uri;    /* borrowed */
	int spare;          /* the connection of open(), for the first thread; -1: taken */
	bool asks_flush;    /* the server has a cache that can be flushed */
	_Atomic uint64_t changed; /* writes that have ended; */
	_Atomic uint64_t flushed; /* so many of these are durable, as a flush has told */
};

enum ub_nbd_state {
	LINK_UP,
	LINK_ENDING,  /* lost; operations on it have to end */
	LINK_WAITING, /* for the next try */
	LINK_CONNECTING,
	LINK_SHAKING
};

/* Of the thread's own operations: ids. */
enum { OWN_SEND, OWN_RECEIVE, OWN_CONNECT, OWN_TRY, OWN_LOOK, UB_NBD_OWN_OPS };

/* A thread's connection. */
struct ub_nbd_link {
	int fd;
	enum ub_nbd_state state;
	uint32_t generation; /* of the connection: what an answer's cookie has to have */
	bool sending, receiving, looking;
	unsigned tries;   /* since it was lost */
	int64_t lost_ms;  /* 0: it is not */
	int64_t began_ms; /* the try that is under way */
	struct ub_own_time pause;

	/* Waits to be sent, in its order. */
	struct ub_io *waiting, **last_waiting;
	/* What is being sent. */
	struct msghdr msg;
	struct iovec iov[2 * UB_NBD_BATCH];
	unsigned iov_at, iov_count;

	/* What was received and not yet looked at; and a read whose data is being received. */
	uint32_t from, to;
	struct ub_io *reading;
	uint32_t read; /* bytes of it that are there */
	union {
		char stage[UB_NBD_STAGE];
		struct ub_nbd_handshake shake;
	};
	size_t shaken; /* bytes of the step that are moved */
};

/* Of an I/O. */
struct ub_nbd_io {
	bool queued, sent; /* waits to be sent; is with the server */
	bool flushes; /* a write that is durable when a flush has been answered: that is sent now */
	char head[NBD_REQUEST_SIZE];
	uint64_t changed; /* of a flush: ub_nbd.changed when it was sent */
	int64_t sent_ms;
};

static inline struct ub_nbd *ub_nbd_of(struct ub_queue *q)
{
	return ub_queue_target(q)->state;
}

static inline struct ub_nbd_link *ub_nbd_link_of(struct ub_queue *q)
{
	return ub_queue_state(q);
}

/* nbd_io.c */
void ub_nbd_submit(struct ub_queue *q, struct ub_io *io);
/* What waits goes to the server, as much as goes at once. */
void ub_nbd_send(struct ub_queue *q);
/* These two return 0, or a negative errno: the connection is of no use any more. */
int ub_nbd_sent(struct ub_queue *q, int res);
void ub_nbd_receive(struct ub_queue *q);
int ub_nbd_received(struct ub_queue *q, int res);
/* The connection is gone: what was with the server waits again. */
void ub_nbd_take_back(struct ub_queue *q);
/* Has the server been away for so long that nothing waits for it any more? */
bool ub_nbd_is_over(const struct ub_nbd *n, const struct ub_nbd_link *l);
/* Nobody waits any more: all that waits fails. */
void ub_nbd_give_up(struct ub_queue *q);

/* What is awaited from now on is looked after, once a second: OWN_LOOK. */
void ub_nbd_look(struct ub_queue *q);

/* nbd_link.c */
void ub_nbd_event(struct ub_queue *q, unsigned id, int res);
