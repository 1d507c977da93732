/* SPDX-License-Identifier: MIT */
/*
 * nbd_fuzz: an NBD server that answers wrongly, in every way that a client can tell, and clients of devices of target
 * nbd before it that check what they read. One process, so that it knows both what it has said and what was written.
 *
 * A device has a slot: image.c is what the server has of it, in memory, of which a crash loses what was not flushed;
 * serve.c takes requests and executes them, reply.c answers, shake.c is the handshake; client.c writes, reads and
 * compares; round.c makes the device, lets it go through phases of lies and of honesty, and deletes it; main.c counts.
 *
 * Left out are lies that no client can tell: other data, or less of it, under a right head; "done" for what is not done;
 * the cookie of another request that waits for its answer.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nbd/wire.h"

#define SECTOR 512U
#define SIZE (4U << 20)
#define SECTORS (SIZE / SECTOR)
#define SLOTS_MAX 16U
#define CLIENTS 6U /* threads of a device, each with a part of it */
#define OUTSTANDING 64U
#define PATIENCE_MS 300000 /* for whatever must not hang */

/* Each is a case that is counted. */
enum lie {
	/* Of a message, in the handshake or after it. */
	LIE_TRICKLE,
	LIE_LATE,
	LIE_FLIP,
	LIE_CUT_CLOSE,
	LIE_CUT_MUTE,
	LIE_CLOSE_BEHIND,
	LIE_GARBAGE_BEFORE,
	LIE_GARBAGE_BEHIND,
	/* Of the handshake. */
	LIE_OTHER_EXPORT,
	LIE_OPTION_TYPE,
	LIE_OPTION_LENGTH,
	LIE_OPTION_ERROR,
	LIE_MORE_INFO,
	LIE_NO_INFO,
	/* Of replies. */
	LIE_ERROR,
	LIE_ERROR_AND_DATA,
	LIE_SHUTDOWN,
	LIE_MAGIC,
	LIE_COOKIE,
	LIE_STRUCTURED,
	LIE_TWICE,
	LIE_OLD,
	LIE_SHORT_HEAD,
	LIE_MORE_DATA,
	LIE_NEVER,
	LIE_UNASKED,
	LIE_TOGETHER,
	LIE_CRASH,
	LIES
};

/* What a server may do wrong with changes: see slot.errors, slot.crashes. */
enum profile {
	PROFILE_CRASHES,            /* no request fails, and none may */
	PROFILE_CRASHES_AND_ERRORS, /* of reads and flushes: a change that is sent again and fails is lost */
	PROFILE_ERRORS,
	PROFILES
};

struct rnd {
	uint64_t state;
};

/* What a sector may have: the number of a change, doubled, and 1 if it is zeroes by that. */
struct content {
	uint32_t acked; /* the last that has succeeded */
	uint32_t tried; /* one after it that has failed; else the same */
	uint32_t
		safe; /* what has been flushed: of what came after it anything may be there after a crash */
	uint32_t zeroes; /* the last that made it zeroes */
};

struct slot {
	unsigned number;
	bool tcp;
	/* Of a round. */
	enum profile profile;
	uint16_t flags;
	uint32_t block_min, block_preferred, block_max;
	bool several;                            /* connections at once */
	bool holds;                              /* requests fail when the server is away */
	bool replays;                            /* what it has lost is written again */
	_Atomic unsigned shake_lies, reply_lies; /* one of so many; 0: none */
	/* The server's. */
	pthread_mutex_t lock;
	_Atomic uint64_t connections;
	uint64_t owner; /* the newest connection */
	uint64_t epoch; /* crashes: a connection of before is dead */
	uint64_t changes;
	char *disk, *stable;
	uint64_t first[SECTORS]; /* the first change that is not stable; 0: none */
	/* The clients'. */
	atomic_bool stop, dies;
	_Atomic uint64_t done[CLIENTS];
	struct content content[SECTORS];
};

struct request {
	uint64_t cookie, offset;
	uint16_t command, flags;
	uint32_t len;
	char *data;      /* of a write */
	uint64_t before; /* of a flush: what had changed when it came */
};

struct connection {
	int fd;
	struct slot *slot;
	struct rnd rnd;
	uint64_t number, epoch;
	struct request requests[OUTSTANDING];
	unsigned count;
	/* A reply of before, and what waits to be sent together with the next one. */
	char old[NBD_REPLY_SIZE];
	bool has_old;
	char *pending;
	size_t pending_len;
};

/* main.c */
extern struct slot slots[SLOTS_MAX];
extern _Atomic uint64_t lies[LIES], ios, io_errors;
extern atomic_bool failed;
extern uint64_t seed;
int64_t now_ms(void);
void pause_ms(unsigned ms);
bool is_time_over(void);
/* Something does not hold: it is printed, and all ends. */
void fail(const struct slot *slot, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t rnd_next(struct rnd *rnd);
uint32_t below(struct rnd *rnd, uint32_t n);
bool one_in(struct rnd *rnd, uint32_t n);
void rnd_bytes(struct rnd *rnd, void *to, size_t len);
/* Counts it. Return: true. */
bool lie(enum lie which);
unsigned slot_count(void);

/* image.c: under the slot's lock */
void image_reset(struct slot *slot);
void image_change(struct slot *slot, uint64_t offset, const char *data, uint32_t len, bool durable);
void image_flush(struct slot *slot, uint64_t before);
void image_crash(struct slot *slot, struct rnd *rnd);
/* A sector as change @number of this slot has written it. */
void make_sector(const struct slot *slot, uint32_t sector, uint32_t number, char *to);
/* Return: the number; 0 and *ret_zeroes: it is zeroes; or -1: neither. */
int64_t read_sector(const struct slot *slot, uint32_t sector, const char *from, bool *ret_zeroes);

/* serve.c */
/* Listens at a socket of the slot's, whose URI is printed to @ret_uri. */
void serve_begin(struct slot *slot, char *ret_uri, size_t size);
/* Carries a request out, if @does, and fills @data with what a read has. Return, in all that follow: whether the
 * connection is to be used any more. */
bool execute(struct connection *c, const struct request *r, bool does, char *data);
bool send_all(struct connection *c, const void *data, size_t len);
/* With a lie of the first kind. */
bool send_spoiled(struct connection *c, const char *data, size_t len, enum lie which);
/* Goes with what is sent next. */
void send_later(struct connection *c, const void *data, size_t len);
/* Says nothing more until the client hangs up. */
bool mute(struct connection *c);

/* shake.c. Return: whether requests follow. */
bool shake(struct connection *c);

/* reply.c */
bool answer(struct connection *c, const struct request *r);
bool say_unasked(struct connection *c);

/* client.c */
void *client(void *arg);
struct client {
	struct slot *slot;
	unsigned number;
	int fd;
	struct rnd rnd;
};
/* All of the device; of a server that is honest. */
void verify_device(struct slot *slot, int fd);
/* Of what is stable: after a flush of all, or after a crash. */
void verify_stable(struct slot *slot, bool flushed);

/* round.c */
void *rounds(void *slot);
extern char **add_options;
extern _Atomic uint64_t rounds_done;
extern _Atomic int64_t longest_deletion; /* by force, in ms */
void delete_all(void);
