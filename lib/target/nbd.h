/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the NBD target share: nbd_args.c has the options, nbd.c opens, nbd_send.c and nbd_io.c turn I/Os
 * into requests, nbd_reply.c replies into ends, nbd_link.c keeps the connection up, nbd_dial.c makes it anew,
 * nbd_where.c knows where it leads, nbd_replay.c has what a server that dies may lose, nbd_round.c has all threads wait
 * for that.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kernel/uapi.h"
#include "nbd/address.h"
#include "nbd/handshake.h"
#include "nbd/resend.h"
#include "nbd/names.h"
#include "nbd/secure.h"
#include "target/target.h"
#include "tls/tls.h"

#define UB_NBD_BATCH UB_NBD_RESEND_MOST /* requests that are sent at once */
#define UB_NBD_STAGE (64U * 1024)       /* bytes that are received at once */
/* Data of an I/O that goes straight to where it belongs, if it is so much; less goes by a stage, many at a time. */
#define UB_NBD_DIRECT_MIN 8192U
#define UB_NBD_PLACES 8U /* of a name's addresses so many are tried */

struct ub_nbd_place {
	struct sockaddr_storage addr;
	socklen_t len; /* 0: not known */
};

struct ub_nbd_args {
	char *uri, *host, *socket, *export;
	uint32_t port;
	int hold_s; /* -1: for ever */
	uint32_t request_s;
	uint32_t replay;
	bool write_through;
	struct ub_nbd_secure_args secure;
};

/* An open export. The queues read it, but for what is atomic. */
struct ub_nbd {
	/* All threads are connected to one place: what may change while none is, and how many are. */
	pthread_mutex_t lock_where;
	struct ub_nbd_place where;
	unsigned there;
	struct ub_nbd_names *names; /* what finds it anew; NULL: it stays where it is */
	uint16_t port;
	int dir;       /* of a unix socket; -1: it is TCP */
	int unreached; /* negative errno: it was away when it was opened; 0: it was not */
	char name[NBD_NAME_MAX + 1];
	struct ub_nbd_export export;
	struct ub_tls *
		tls; /* what encrypts each connection before anything is asked for; NULL: plain text */
	bool lock;                 /* memory is not to be swapped out */
	struct ub_patience asking; /* of who waits for the device; its deadline is not used */
	int64_t hold_ms;    /* that I/O waits for a server that is away; -1: as long as it takes */
	uint32_t request_s; /* after which an answer does not come any more */
	bool write_through; /* writes are durable when they end */
	const char *place;  /* for messages, borrowed */
	int spare;          /* the connection of open(), for the first thread; -1: taken */
	bool asks_flush;    /* the server has a cache that can be flushed */
	uint32_t keep;      /* bytes of changes that each thread keeps until they are durable */
	bool zero_copy;     /* I/Os have no buffers */
	bool gathers;       /* all threads meet after a loss: something may be lost with a server */
	struct ub_nbd_link *links; /* of all threads; complete before the first one serves */
	/* Of nbd_round.c: the round that is under way, or was the last; the one that a thread has taken upon itself to
	 * replay in; the one in which that was done. */
	_Atomic uint64_t round, claimed, replayed;
	_Atomic unsigned away; /* threads that have no connection to send on */
	atomic_bool inherits; /* what another server of the device has written may not be durable */
	_Atomic uint64_t changed; /* writes that have ended; */
	_Atomic uint64_t flushed; /* so many of these are durable, as a flush has told */
};

enum ub_nbd_state {
	LINK_UP,
	LINK_DRAINING, /* another one is lost; what is with the server has to end */
	LINK_ENDING,   /* lost; operations on it have to end */
	LINK_WAITING,  /* for the next try */
	LINK_LOOKING,  /* the server's name up */
	LINK_CONNECTING,
	LINK_SHAKING,
	LINK_SECURING, /* TLS is begun by its helper */
	LINK_SHAKEN,   /* hands: the export is at the other end, and the connection is to be used */
	LINK_GATHERING, /* it waits until all threads have come so far, and for what one of them replays */
	LINK_REPLAYING /* what the server may have lost goes first */
};

/* Of the thread's own operations: ids. */
enum { OWN_SEND, OWN_RECEIVE, OWN_CONNECT, OWN_TRY, OWN_LOOK, OWN_CALL, UB_NBD_OWN_OPS };

/* A thread's connection. */
struct ub_nbd_link {
	int fd;
	enum ub_nbd_state state;
	uint32_t serial; /* of the last request: no two have the same cookie */
	bool sending, receiving, looking;
	int send_error;   /* of sendmsg(), which is not told a second time; 0: none */
	unsigned tries;   /* since it was lost */
	int64_t lost_ms;  /* 0: it is not */
	int64_t began_ms; /* the step that is under way */
	struct ub_own_time pause;

	/* Of nbd_round.c. */
	struct ub_nbd_link *beside; /* another thread's, or NULL */
	_Atomic uint64_t came; /* the last round in which it was there, with nothing under way */
	atomic_bool left;      /* its thread serves no more */
	int call_fd;           /* by which other threads wake this one; -1: there are none */
	uint64_t calls;        /* what is read of it */

	/* Of the round of tries that is under way. */
	bool nameless; /* nobody looks the name up any more */
	struct ub_nbd_place places[UB_NBD_PLACES];
	unsigned nr_places, place;

	/* Waits to be sent, in its order. */
	struct ub_io *waiting, **last_waiting;
	/* What is being sent. */
	struct msghdr msg;
	struct iovec iov[2 * UB_NBD_BATCH];
	unsigned iov_at, iov_count;
	struct ub_io *body; /* a write whose data follows as it lies, behind that; */
	char *out; /* UB_NBD_STAGE bytes for smaller ones; NULL: an I/O's data lies in a buffer */
	uint32_t body_sent; /* bytes of it that are gone */

	/* What has ended and is not known to be durable. */
	struct ub_nbd_kept kept;
	bool flushing;        /* a change waits for a flush, so that there is room again */
	bool own_flush;       /* one that no I/O has asked for is with the server, */
	int64_t own_flush_ms; /* since then, */
	uint64_t own_changed; /* and ub_nbd.changed at that time */
	bool leaving;         /* the thread is to end when that is answered, */
	int64_t leave_ms;     /* or at that time */
	char flush_head[NBD_REQUEST_SIZE];
	struct ub_nbd_resend resend; /* of all threads, where this one replays, */
	int64_t replay_ms;           /* and when there was progress */

	/* What was received and not yet looked at; and a read whose data is being received. */
	uint32_t from, to;
	struct ub_io *reading;
	uint32_t read;   /* bytes of it that are there */
	int read_error;  /* of those; negative errno */
	uint32_t large;  /* reads with the server whose data is to be received where it belongs; */
	bool last_large; /* and the request that was sent last is one */
	union {
		char stage[UB_NBD_STAGE];
		struct ub_nbd_handshake shake;
	};
	size_t shaken; /* bytes of the step that are moved */
	int asked;     /* of LINK_SECURING and LINK_LOOKING: where a helper's answer comes, */
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

static inline struct ub_nbd_io *ub_nbd_io_of(struct ub_queue *q, const struct ub_io *io)
{
	return ub_io_state(q, io);
}

/* Is it a read of so much that its data is received where it belongs? */
static inline bool ub_nbd_is_large(const struct ub_io *io)
{
	return io->op == UBLK_IO_OP_READ && io->len >= UB_NBD_DIRECT_MIN;
}

/* Cookies that are no I/O's: of changes that are sent again, with the end of their number; of a flush. */
#define UB_NBD_COOKIE_REPLAY (1U << 31)
#define UB_NBD_COOKIE_FLUSH (UB_NBD_COOKIE_REPLAY - 1)

/* nbd_args.c */
extern const struct ub_opt ub_nbd_args_options[];
/* Of struct ub_target. */
void ub_nbd_args_defaults(void *args);
const char *ub_nbd_args_place(const void *args);
int ub_nbd_args_check(const void *args, struct ub_error *err);
int ub_nbd_args_call(void *args, struct ub_caller *ret_caller, struct ub_error *err);
/* Return: 0 with @ret_address, to be freed, or -EINVAL, -ENOMEM with a message. */
int ub_nbd_args_address(const struct ub_nbd_args *a, struct ub_nbd_address *ret_address,
			struct ub_error *err);

/* nbd_where.c */
/* @fd: connected to it, or -1: it is away. Return: 0, or a negative errno. */
int ub_nbd_where_open(struct ub_nbd *n, const struct ub_nbd_address *address, int fd);
/* The server's name can be looked up anew from here on; where it can't be, a note says so. */
void ub_nbd_where_follow(struct ub_nbd *n, const struct ub_nbd_address *address,
			 const struct ub_patience *patience, struct ub_notes *notes);
void ub_nbd_where_close(struct ub_nbd *n);
/* A round of tries begins. Return: a socket on which getent's answer comes, to be closed; or a negative errno: none is
 * needed, or to be had, and ub_nbd_link.places are what is known. */
int ub_nbd_where_ask(struct ub_queue *q);
/* The answer has come, @len bytes in the stage. */
void ub_nbd_where_answered(struct ub_queue *q, uint32_t len);
/* The connection is to be used: is the place where it leads that of all threads? */
bool ub_nbd_where_settle(struct ub_nbd *n, const struct ub_nbd_place *place);
/* ... and it is lost. */
void ub_nbd_where_leave(struct ub_nbd *n);

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
/* So many pieces of ub_nbd_link.iov go, and the body behind them: what the socket takes goes at once, without an
 * operation on the ring whose end would have to be looked at; */
void ub_nbd_send_now(struct ub_queue *q, unsigned count);
/* all by operations, as there are more where these end; and what is left of them. */
void ub_nbd_send_iov(struct ub_queue *q, unsigned count);
/* @n bytes more are gone. Return: whether anything is left. */
bool ub_nbd_is_left(struct ub_nbd_link *l, size_t n);
void ub_nbd_send_rest(struct ub_queue *q);
/* What is awaited from now on is looked after, once a second: OWN_LOOK. */
void ub_nbd_look(struct ub_queue *q);

/* nbd_io.c */
void ub_nbd_submit(struct ub_queue *q, struct ub_io *io);
/* What waits goes to the server, all that has gathered: ub_target.drained. */
void ub_nbd_send(struct ub_queue *q);
/* Return: 0, or a negative errno: the connection is of no use any more. */
int ub_nbd_sent(struct ub_queue *q, int res);
/* It waits to be sent, behind all that do. */
void ub_nbd_enqueue(struct ub_queue *q, struct ub_io *io);
void ub_nbd_end(struct ub_queue *q, struct ub_io *io, int error);
/* Return: a negative errno if something that was acknowledged may be lost: every flush tells it from then on. */
int ub_nbd_lost(struct ub_queue *q);
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

/* nbd_reply.c */
void ub_nbd_receive(struct ub_queue *q);
/* Return: as ub_nbd_sent(). */
int ub_nbd_received(struct ub_queue *q, int res);

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
/* What all threads have kept goes to the server, while they wait. */
void ub_nbd_replay(struct ub_queue *q);
/* The same, as much as goes at once. */
void ub_nbd_replay_send(struct ub_queue *q);
/* Return: 0, or -EPROTO: there is no such change. */
int ub_nbd_replay_answered(struct ub_queue *q, uint64_t cookie, int error);
/* Was everything answered? */
bool ub_nbd_replay_is_over(const struct ub_nbd_link *l);

/* nbd_round.c */
/* The thread hears when it is called: by OWN_CALL, once. */
void ub_nbd_round_hear(struct ub_queue *q);
/* Its connection is lost: a round begins, if this one had come to the last. */
void ub_nbd_round_begin(struct ub_queue *q);
/* There is a new one, and nothing under way. */
void ub_nbd_round_come(struct ub_queue *q);
/* Has another round begun since? */
bool ub_nbd_round_is_overtaken(struct ub_queue *q);
/* May all that have come go on? */
bool ub_nbd_round_is_over(struct ub_queue *q);
/* Return: whether all have come, and it is for this thread to replay: of those who ask it is for one. */
bool ub_nbd_round_claim(struct ub_queue *q);
/* All was sent again. */
void ub_nbd_round_end(struct ub_queue *q);
/* Others do not wait for this thread any more. */
void ub_nbd_round_leave(struct ub_queue *q);
/* How the link is, is told. @error: negative errno, or 0: as before. */
void ub_nbd_tell_away(struct ub_queue *q, int error);

/* nbd_dial.c */
/* After a pause the connection is to be made anew: OWN_TRY. */
void ub_nbd_dial_later(struct ub_queue *q);
/* What may end as LINK_SHAKEN: the pause is over; a connection has been made, or not; something was moved. */
void ub_nbd_dial(struct ub_queue *q);
void ub_nbd_dial_connected(struct ub_queue *q, int res);
void ub_nbd_dial_moved(struct ub_queue *q, bool out, int res);
/* A try has come to nothing, a negative errno says why: the next place, or all of them once more. */
void ub_nbd_dial_failed(struct ub_queue *q, int error);
/* A step that has taken too long by @now is cut short. */
void ub_nbd_dial_limit(struct ub_queue *q, int64_t now);
/* Was what ended with @res a record of TLS that is no data, and is taken away? Else @res says what it means. */
bool ub_nbd_dial_is_record(struct ub_queue *q, int *res);

/* nbd_link.c */
void ub_nbd_event(struct ub_queue *q, unsigned id, int res);
