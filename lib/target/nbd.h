/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the NBD target share: nbd.c opens, nbd_send.c and nbd_io.c turn I/Os into requests and
 * replies into ends, nbd_link.c keeps the connection up, nbd_replay.c has what a server that dies may lose.
 */
#pragma once

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "nbd/address.h"
#include "nbd/handshake.h"
#include "nbd/kept.h"
#include "target/target.h"
#include "tls/tls.h"

#define UB_NBD_BATCH 64U          /* requests that are sent at once */
#define UB_NBD_STAGE (64U * 1024) /* bytes that are received at once */

/* An open export. The queues read it, but for what is atomic. */
struct ub_nbd {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int dir; /* of a unix socket; -1: it is TCP */
	char name[NBD_NAME_MAX + 1];
	struct ub_nbd_export export;
	struct ub_tls *
		tls; /* what encrypts each connection before anything is asked for; NULL: plain text */
	bool lock;          /* memory is not to be swapped out */
	int64_t hold_ms;    /* that I/O waits for a server that is away; -1: as long as it takes */
	uint32_t request_s; /* after which an answer does not come any more */
	bool write_through; /* writes are durable when they end */
	const char *place;  /* for messages, borrowed */
	int spare;          /* the connection of open(), for the first thread; -1: taken */
	bool asks_flush;    /* the server has a cache that can be flushed */
	uint32_t keep;      /* bytes of changes that are kept until they are durable */
	_Atomic unsigned away; /* threads whose connection is lost */
	atomic_bool inherits; /* what another server of the device has written may not be durable */
	_Atomic uint64_t changed; /* writes that have ended; */
	_Atomic uint64_t flushed; /* so many of these are durable, as a flush has told */
};

enum ub_nbd_state {
	LINK_UP,
	LINK_ENDING,  /* lost; operations on it have to end */
	LINK_WAITING, /* for the next try */
	LINK_CONNECTING,
	LINK_SHAKING,
	LINK_SECURING, /* TLS is begun by its helper */
	LINK_REPLAYING /* what the server may have lost goes first */
};

/* Of the thread's own operations: ids. */
enum { OWN_SEND, OWN_RECEIVE, OWN_CONNECT, OWN_TRY, OWN_LOOK, UB_NBD_OWN_OPS };

/* A thread's connection. */
struct ub_nbd_link {
	int fd;
	enum ub_nbd_state state;
	uint32_t serial; /* of the last request: no two have the same cookie */
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

	/* What has ended and is not known to be durable. */
	struct ub_nbd_kept kept;
	bool flushing;        /* a change waits for a flush, so that there is room again */
	bool own_flush;       /* one that no I/O has asked for is with the server, */
	int64_t own_flush_ms; /* since then, */
	uint64_t own_changed; /* and ub_nbd.changed at that time */
	bool leaving;         /* the thread is to end when that is answered, */
	int64_t leave_ms;     /* or at that time */
	char flush_head[NBD_REQUEST_SIZE];
	uint64_t replay;   /* the place of the next one that is sent again, */
	uint64_t replied;  /* and of the first that is not answered */
	unsigned replays;  /* that are not answered */
	int64_t replay_ms; /* when there was progress */

	/* What was received and not yet looked at; and a read whose data is being received. */
	uint32_t from, to;
	struct ub_io *reading;
	uint32_t read; /* bytes of it that are there */
	union {
		char stage[UB_NBD_STAGE];
		struct ub_nbd_handshake shake;
	};
	size_t shaken; /* bytes of the step that are moved */
	int asked;     /* of LINK_SECURING: where the helper's answer comes, */
	int32_t answer;
};

/* Of an I/O. */
struct ub_nbd_io {
	bool sent;    /* it is with the server */
	bool flushes; /* a change that is done when a flush has been answered: that is sent now */
	char head[NBD_REQUEST_SIZE];
	uint64_t changed; /* of a flush: ub_nbd.changed when it was sent */
	int64_t sent_ms;
};

static inline struct ub_nbd *ub_nbd_of(struct ub_queue *q)
{
	return ub_queue_target(q)->state;
}

/* @whole: where that is possible. */
static inline enum ub_receive ub_nbd_receive_how(struct ub_queue *q, bool whole)
{
	return ub_nbd_of(q)->tls ? UB_RECEIVE_DECRYPTED
	       : whole           ? UB_RECEIVE_WHOLE
				 : UB_RECEIVE_SOME;
}

static inline struct ub_nbd_link *ub_nbd_link_of(struct ub_queue *q)
{
	return ub_queue_state(q);
}

/* Cookies that are no I/O's: of changes that are sent again, with the end of their number; of a flush. */
#define UB_NBD_COOKIE_REPLAY (1U << 31)
#define UB_NBD_COOKIE_FLUSH (UB_NBD_COOKIE_REPLAY - 1)

/* nbd_send.c */
/* Does it change what is there? */
bool ub_nbd_is_change(const struct ub_io *io);
/* And is it to be durable when it ends? */
bool ub_nbd_is_durable(const struct ub_nbd *n, const struct ub_io *io);
/* How a request says it: NBD_CMD_*, NBD_CMD_FLAG_*. */
uint16_t ub_nbd_command_of(const struct ub_io *io);
uint16_t ub_nbd_flags_of(const struct ub_io *io);
/* @cookie: its lower half; the upper one is another number each time. */
void ub_nbd_make_head(struct ub_nbd_link *l, char *head, uint16_t command, uint16_t flags,
		      uint32_t cookie, uint64_t offset, uint32_t len);
/* The cookie of a request. */
static inline uint64_t ub_nbd_cookie(const char *head)
{
	return nbd_get64(head + 8);
}
/* So many pieces of ub_nbd_link.iov go; and what is left of them. */
void ub_nbd_send_iov(struct ub_queue *q, unsigned count);
void ub_nbd_send_rest(struct ub_queue *q);
/* What is awaited from now on is looked after, once a second: OWN_LOOK. */
void ub_nbd_look(struct ub_queue *q);
/* How the link is, is told. @error: negative errno, or 0: as before. */
void ub_nbd_tell_away(struct ub_queue *q, int error);

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
/* All is as it was: what waits goes. */
void ub_nbd_up(struct ub_queue *q);
/* Of a thread that is to end: has it nothing that has to be flushed before? What has is, and it is asked again. */
bool ub_nbd_leaves(struct ub_queue *q);

/* nbd_replay.c */
/* Return: whether a change is over with its answer; false: not before a flush has been answered. */
bool ub_nbd_is_over_with(struct ub_queue *q, struct ub_io *io);
/* A flush was answered that was sent when so many changes had been. */
void ub_nbd_flushed(struct ub_queue *q, uint64_t changed);
/* The flush was answered that no I/O has asked for. */
void ub_nbd_own_flushed(struct ub_queue *q, int error);
/* Return: whether nothing is open, or nothing can be done about it, which is told; false: a flush is to be sent. */
bool ub_nbd_may_leave(struct ub_queue *q);
/* The connection is lost. */
void ub_nbd_note_loss(struct ub_queue *q);
/* On a new one. Return: whether anything is to be sent again first. */
bool ub_nbd_replay_begin(struct ub_queue *q);
/* Return: whether nothing is left to be sent or answered. */
bool ub_nbd_replay_send(struct ub_queue *q);
/* Return: 0, or -EPROTO: there is no such change. */
int ub_nbd_replay_answered(struct ub_queue *q, uint64_t cookie, int error);

/* nbd_link.c */
void ub_nbd_event(struct ub_queue *q, unsigned id, int res);
