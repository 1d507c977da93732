/* SPDX-License-Identifier: MIT */
/*
 * What a target is. A target says what it can (size, blocks, capabilities), and turns each I/O into
 * operations on the queue's ring. It knows target/io.h and nothing else of the server. A new target
 * is one file, one line in targets.c, one test file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "base/patience.h"
#include "base/opt.h"
#include "target/caller.h"
#include "target/identity.h"
#include "target/io.h"

#define UB_TARGET_FILES_MAX UB_BACKINGS_MAX
#define UB_QUEUE_FILES_MAX 1
#define UB_EVENT_BEGIN 255U                /* no operation's id */
#define UB_DISCARD_MAX ((uint32_t)1 << 31) /* bytes in one discard or write-zeroes */

/* What a target serves over a connection, while that is lost: set by its threads, each number by itself. */
struct ub_tgt_away {
	_Atomic int64_t since_ms; /* as ub_now_ms(); 0: it is not */
	_Atomic uint32_t tries;   /* to come there again, so far */
	_Atomic int error;        /* negative errno: of the last one, or why it was lost */
	_Atomic bool
		fenced; /* for good: another client has had this one shut out, and its I/O fails */
	/* What has ended may be lost if this process ends: then it is as after a failed write-back. */
	_Atomic bool may_lose;
};

/* What ub_tgt_away.error means, a negative errno: not always what it is elsewhere. */
const char *ub_away_words(int error);
/* Has a program ended that the server had beside it for that? Another server of the device has one again. */
bool ub_away_lacks_program(int error);

/* What others serve, by what they call it, whatever its name is by then. */
struct ub_remote {
	char *id; /* owned; NULL: they call it nothing */
	char *holder; /* this client, as the others see who keeps them from writing; owned; NULL: nobody does */
};

/* What a server has said of what it exports, so that another server of the device can begin while that one is away. */
struct ub_export {
	uint64_t size;                                  /* bytes; 0: not known */
	uint32_t flags;                                 /* of its protocol */
	uint32_t block_min, block_preferred, block_max; /* bytes */
};

/* What the libraries of a server program take, as measured. */
struct ub_libraries {
	uint64_t mapped, resident; /* bytes */
	bool copies;               /* and they have the data of I/Os under way once more */
};

/* An open target. Filled by open(); borrowed by the queues, which only read it. */
struct ub_tgt {
	const struct ub_target *type;
	void *state;              /* the target's own, freed by close() */
	struct ub_layers *layers; /* that stand over it (layer/layer.h); NULL: none */
	uint64_t size;            /* of the device, bytes; a multiple of logical_block_size */
	/* Requests beyond are refused. As the size, but while that changes: read by the queues meanwhile. */
	_Atomic uint64_t limit;
	uint32_t logical_block_size;
	uint32_t physical_block_size; /* at least the logical one; powers of two, both */
	uint32_t io_min, io_opt;      /* bytes, powers of two; 0: none */
	uint32_t discard_granularity; /* bytes; 0: discard is not advertised */
	bool write_zeroes;            /* advertised */
	bool volatile_cache;          /* the client is told to send flushes, and FUA works */
	bool durable_writes; /* all are to be: the client was told that there is no cache */
	bool read_only;
	bool rotational;
	uint32_t memory_align; /* of data in memory, for operations on its files; bytes; 0: none */
	bool brief;       /* its files lie on this machine: a sync is over when the disk is done */
	bool freezable;   /* what they lie in can be frozen, which keeps changes waiting */
	bool stable_data; /* of a write: it must not change while operations on files work on it */
	unsigned ops_per_io;   /* operations that one I/O has on the ring at once, at the most */
	unsigned own_ops;      /* and the target itself, of a thread */
	unsigned most_threads; /* that can serve it; 0: as many as one likes */
	const char *most_threads_why; /* a clause, for whoever has asked for more */
	uint32_t
		queue_more; /* bytes that it keeps of each thread beside struct ub_target.queue_size, behind it */
	uint32_t most_io; /* bytes of a read or write; 0: as many as one likes */
	void *memory;     /* what it maps for its data, told of in reports; NULL: nothing */
	uint64_t memory_size;
	/* Registered with every ring, in this order: the backings' first. */
	int files[UB_TARGET_FILES_MAX];
	unsigned nr_files;
	struct ub_remote remote;
	struct ub_export export;
	/* Recovery, set before its threads serve: what servers before have written is durable, all of it. */
	bool flushed;
	struct ub_tgt_away away;
	_Atomic uint64_t
		grown; /* bytes that there are by now, if that changes by itself; 0: it has not */
	int event_fd; /* of the server, borrowed: written when what is said here has changed; -1: none */
	_Atomic int
		write_error; /* negative errno of a failed write-back: sticky, see loop_sync.c */
	struct ub_backings backings; /* none: nothing lies behind, or nothing of this machine's */
	/* Of each: open() made its file, which ub_tgt_undo() removes from this directory: its path may lead
	 * elsewhere in a server's namespace. */
	bool created[UB_BACKINGS_MAX];
	int created_in[UB_BACKINGS_MAX];
};

/* What a target has for each thread that serves a queue, or a part of one: filled by queue_open(). */
struct ub_tgt_queue {
	void *state;                   /* struct ub_target.queue_size bytes, zeroes at first */
	int files[UB_QUEUE_FILES_MAX]; /* registered with the thread's ring, behind the target's */
	unsigned nr_files;
};

struct ub_open_request {
	uint32_t logical_block_size; /* asked for; 0: the target's choice */
	bool read_only;              /* asked for */
	bool no_discard;             /* asked for */
	bool no_lock;                /* do not lock the backings */
	bool zero_copy;              /* asked for: operations get the clients' memory as it lies */
	bool probe;                  /* only to tell about it: take no lock, create nothing */
	bool lock;                   /* what is mapped while it is served is to be locked */
	bool recovers;               /* the device has had a server before */
	int memory; /* recovery: what hand_over() of that server has given, borrowed; -1: nothing */
	uint32_t threads; /* that are to serve it, as far as is known before there is a device */
	uint64_t size;    /* recovery: what the device has come to, whatever was asked for; or 0 */
	const struct ub_backings *expect; /* recovery: the backings have to be these; else NULL */
	const struct ub_remote *remote;   /* recovery: the same, of what others serve */
	const struct ub_export *export;   /* recovery: what that was, if it may be away now */
	struct ub_patience patience;      /* of who waits for it; deadline 0: none */
	int write_error; /* recovery: what a flush has to go on failing with, or 0 */
};

struct ub_target {
	const char *name;
	const char *summary; /* one line for the help */
	const struct ub_opt *options;
	size_t args_size; /* of the struct that the options fill, zeroed before defaults() */
	uint32_t queue_size,
		io_size;     /* bytes that it keeps of each thread and of each I/O, as part of
				       * the planned memory */
	const char *program; /* that serves it, by name; NULL: the one that serves most */
	const char *package; /* where the program is, if it is one of its own */
	struct ub_libraries libraries; /* that the program has */
	bool recoverable;              /* its data outlives its server */
	bool zero_copy;                /* it moves data by operations on files or sockets, */
	bool copies;    /* and what is small by ub_io_copy_to() and ub_io_copy_from() */
	bool remote;    /* by a connection that may be lost: ub_tgt.away */
	bool in_memory; /* it moves data by ub_io_copy_to() and ub_io_copy_from() alone */
	bool posts;     /* its I/Os are ended by threads of others: ub_io_post() */
	/* Sets the defaults that are not zero; may be NULL. */
	void (*defaults)(void *args);
	/* Checks what needs no system call; may be NULL. Return: 0 or -EINVAL with @err's message. */
	int (*check)(const void *args, struct ub_error *err);
	/* In the process of the caller, before a server is started: makes what @args names of that
	 * process alone (caller.h) a server's too; may be NULL. Return: 0 or a negative errno. */
	int (*call)(void *args, struct ub_caller *ret_caller, struct ub_error *err);
	/* Where what it serves is, if that is no file: for people. Return: borrowed, or NULL. NULL: files alone. */
	const char *(*place)(const void *args);
	/*
	 * Opens and probes the backings, takes their locks, and fills @tgt (zeroed, with type set).
	 * @args has what call() made of it, and is resolved in place: "auto" becomes what was
	 * chosen.
	 * Return: 0, or a negative errno with @err's message; then nothing is left open or made,
	 * and @tgt is all zero.
	 */
	int (*open)(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err);
	/*
	 * The rest of open() where that may take long, or starts threads; NULL: there is none. It runs in a
	 * thread of its own, where the server will stay, with nothing of the caller's in reach, and if the
	 * server ends meanwhile, that does not wait for it. @args, return: as with open(); but what is half done
	 * is left to close(). ub_tgt.queue_more is to be known before.
	 */
	int (*connect)(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		       struct ub_notes *notes, struct ub_error *err);
	/*
	 * Makes what a thread has of its own, before that runs; may be NULL. The files are closed by
	 * ub_tgt_close_queue(). Return: 0, or a negative errno with a message.
	 */
	int (*queue_open)(struct ub_tgt *tgt, struct ub_tgt_queue *tq, struct ub_error *err);
	/* Takes up an I/O: puts operations on the ring, or ends it at once. */
	void (*submit)(struct ub_queue *q, struct ub_io *io);
	/* An operation ended, the one with UB_OP_ID(@id); @res as io_uring gives it. May be NULL if there
	 * never is one. */
	void (*complete)(struct ub_queue *q, struct ub_io *io, unsigned id, int res);
	/* An operation of the target's own has ended, or, with UB_EVENT_BEGIN, the thread serves from now on.
	 * NULL: there are none. */
	void (*event)(struct ub_queue *q, unsigned id, int res);
	/* All I/Os and ends that were there have been taken up, and the thread is about to enter the kernel: what has
	 * gathered can go. NULL: nothing gathers. */
	void (*drained)(struct ub_queue *q);
	/* The thread has seen no I/O for some seconds: memory that is kept for the next ones can go. NULL: there is
	 * none. */
	void (*rest)(struct ub_queue *q);
	/* The thread is to end, with no I/O in hand: has the target done what it has to before? It is asked again
	 * whenever an operation has ended. NULL: there is nothing. */
	bool (*leaves)(struct ub_queue *q);
	/* Of data that would die with its server, but can go on to another one; NULL: it can't, or need not.
	 * Return: a descriptor that is the caller's, of a file that only programs of this target know, or a
	 * negative errno. */
	int (*hand_over)(struct ub_tgt *tgt);
	/* The device has no I/O any more, and may have another server at once: what would be in that one's way
	 * is given up. NULL: there is nothing. */
	void (*let_go)(struct ub_tgt *tgt);
	/* A little of what can wait until the device is served, by the main thread; NULL: there is nothing.
	 * Return: whether there is more. */
	bool (*settle)(struct ub_tgt *tgt);
	/* Return: bytes of ub_tgt.memory for a device of @size bytes. NULL: it has none. */
	uint64_t (*memory)(uint64_t size);
	/*
	 * Looks how many bytes could be served now, at the most; NULL: as many as one likes.
	 * Return: them, or a negative errno.
	 */
	int64_t (*room)(struct ub_tgt *tgt);
	/*
	 * Makes sure that @size bytes can be served as well as those that are now, while the queues serve;
	 * NULL: the size can't be changed.
	 * Return: 0, -EFBIG (there are not so many), -EBUSY (somebody else has them), or another negative
	 * errno; then nothing has changed.
	 */
	int (*make_room)(struct ub_tgt *tgt, uint64_t size);
	/* The device has ub_tgt.size bytes from now on: @args are to say so, and what lies beyond
	 * ub_tgt.limit is given back. NULL: there is nothing to be said or given. */
	void (*resized)(struct ub_tgt *tgt, void *args);
	/* Closes what queue_open() has made but for the files, and what event() has; may be NULL. */
	void (*queue_close)(struct ub_tgt *tgt, struct ub_tgt_queue *tq);
	/* Frees the state; may be NULL; takes a half-opened target. The files are closed by
	 * ub_tgt_close(). */
	void (*close)(struct ub_tgt *tgt);
};

/* All targets, NULL-terminated, in the order of the help. */
extern const struct ub_target *const ub_targets[];

/* Return: the target of that name, or NULL. */
const struct ub_target *ub_target_find(const char *name);

/* Frees and zeroes. */
void ub_remote_done(struct ub_remote *remote);

/*
 * Removes what open() made (the file of `loop --create`), when what comes after it fails: to be
 * called before ub_tgt_close(). Does nothing where nothing was made, and touches no file but that
 * very one.
 */
void ub_tgt_undo(struct ub_tgt *tgt);

/* Closes an open target and its files, frees its backings and zeroes it. Takes NULL type. */
void ub_tgt_close(struct ub_tgt *tgt);

/* Closes what a thread has of its own. Takes what was never opened. */
void ub_tgt_close_queue(struct ub_tgt *tgt, struct ub_tgt_queue *tq);

/* For targets: the size that is served, @size rounded down to logical blocks, with a note if that
 * takes something away. Return: 0, or -EINVAL if nothing is left. */
int ub_tgt_set_size(struct ub_tgt *tgt, uint64_t size, struct ub_notes *notes,
		    struct ub_error *err);
