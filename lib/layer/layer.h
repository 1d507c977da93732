/* SPDX-License-Identifier: MIT */
/*
 * What a layer is: it stands between a queue and the target, over any target and any data path, and may keep
 * an I/O for a while, end it with an error, or note it. Layers stand one over the other; each knows what
 * comes to it from above, and hands it on, or back. A layer sees no data, so that no path is in its way, and
 * nothing of the ring. A new one is one file, one line in layers.c, a section in ublk-layers(7), a test.
 *
 * What a queue's thread calls (submit, ended, waited, written) never blocks. An I/O that has come to a layer
 * goes on from there exactly once: ub_layer_pass() or ub_layer_end().
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/opt.h"
#include "target/io.h"
#include "target/target.h"

#define UB_LAYERS_MAX 8U
#define UB_LAYER_WAIT_SIZE 24U /* bytes of each I/O that the queue keeps for all layers */

/* What is asked for, outermost first. */
struct ub_layer_list {
	unsigned count;
	struct ub_layer_asked {
		const struct ub_layer *type;
		void *args; /* owned; type->args_size bytes */
	} layer[UB_LAYERS_MAX];
};

/* An open layer of a device. Its threads read it, and change what is atomic in its state. */
struct ub_layer_on {
	const struct ub_layer *type;
	const void *args; /* borrowed from the list */
	void *state;      /* of all threads; freed by close() */
	atomic_bool off;  /* it is not open (yet): I/Os pass it */
	atomic_int error; /* negative errno of what ub_layer_fault() has told first; or 0 */
	bool told;        /* that has come into the log */
	uint32_t queue_at,
		io_at; /* where what it keeps lies behind the target's: bytes from that */
};

/* All of a device's, outermost first. */
struct ub_layers {
	unsigned count;
	struct ub_layer_on on[UB_LAYERS_MAX];
	const struct ub_layer_list *list; /* borrowed */
	uint32_t wait_at;                 /* where the queue keeps its timer, in an I/O's state */
};

struct ub_layer {
	const char *name;
	const char *summary; /* one line for the help */
	const struct ub_opt *options;
	size_t args_size; /* of the struct that the options fill, zeroed before defaults() */
	uint32_t queue_size,
		io_size; /* bytes that it keeps of each thread and each I/O, zeroes at first */
	void (*defaults)(void *args); /* may be NULL */
	/* Checks what needs no system call; may be NULL. Return: 0 or -EINVAL with @err's message. */
	int (*check)(const void *args, struct ub_error *err);
	/* The file of the caller's that it works on, by name; may be NULL, and so may be what it returns:
	 * there is none. The next server opens it when it serves, since it may lie anywhere. */
	const char *(*file)(const void *args);
	/* Most that it keeps an I/O, in milliseconds; NULL: nobody can tell, or not at all. */
	uint64_t (*most_ms)(const void *args);
	/* Makes what its threads share; may be NULL. @on has type and args, @path leads to its file() from
	 * here. Return: 0, or a negative errno with a message of stage UB_STAGE_LAYER, and nothing is left. */
	int (*open)(struct ub_layer_on *on, const char *path, struct ub_error *err);
	/* An I/O has come from above. */
	void (*submit)(struct ub_queue *q, struct ub_io *io, unsigned at);
	/* One that was passed on has ended below, with 0 or a negative errno; NULL: it goes on upwards. */
	void (*ended)(struct ub_queue *q, struct ub_io *io, unsigned at, int error);
	/* The time is over that ub_layer_wait() was to keep it. */
	void (*waited)(struct ub_queue *q, struct ub_io *io, unsigned at);
	/* What ub_layer_write() was to write; @res: bytes, or a negative errno. */
	void (*written)(struct ub_queue *q, unsigned at, int res);
	/* A thread has served its last I/O, and all rings are gone: @state is what was kept of it; may be
	 * NULL. */
	void (*queue_close)(const struct ub_layer_on *on, void *state);
	void (*close)(struct ub_layer_on *on); /* may be NULL */
};

/* All layers, NULL-terminated, in the order of the help. */
extern const struct ub_layer *const ub_layer_types[];

/* Return: the layer of that name, or NULL. */
const struct ub_layer *ub_layer_find(const char *name);

/* Adds a layer below those that are there, with its defaults. Return: 0, -E2BIG, -ENOMEM. */
int ub_layer_list_add(struct ub_layer_list *list, const struct ub_layer *type);
/* @patience_ms: I/Os may be kept so long, over all of them. Return: 0, or -EINVAL with a message. */
int ub_layer_list_check(const struct ub_layer_list *list, uint64_t patience_ms,
			struct ub_error *err);
void ub_layer_list_done(struct ub_layer_list *list);

/* Opens what is asked for over @tgt, whose layers it becomes: @list is borrowed until it is closed. @recovers: the
 * device has had a server before: those with a file are off until ub_layers_open_file().
 * Return: 0, or a negative errno with a message, and none is open. */
int ub_layers_open(struct ub_tgt *tgt, const struct ub_layer_list *list, bool recovers,
		   struct ub_error *err);
/* Opens one that is off, while the device is served; @path leads to its file from here. Return: 0, or a negative
 * errno with a message. */
int ub_layers_open_file(struct ub_tgt *tgt, unsigned at, const char *path, struct ub_error *err);
/* Takes a target without layers. */
void ub_layers_close(struct ub_tgt *tgt);

/* Bytes that a target and layers over it keep of each thread, and of each I/O beside struct ub_io. @list: may
 * be NULL. */
uint32_t ub_layers_queue_bytes(const struct ub_tgt *tgt, const struct ub_layer_list *list);
uint32_t ub_layers_io_bytes(const struct ub_target *type, const struct ub_layer_list *list);
/* Operations of theirs that belong to no I/O, of a thread at once. @list: may be NULL. */
uint32_t ub_layers_own_ops(const struct ub_layer_list *list);

/* For layers; @at: which one, as it was called with. The I/O goes on downwards, or back upwards. */
void ub_layer_pass(struct ub_queue *q, struct ub_io *io, unsigned at);
void ub_layer_end(struct ub_queue *q, struct ub_io *io, unsigned at, int error);
/* Keeps the I/O for so long; then waited() is called. */
void ub_layer_wait(struct ub_queue *q, struct ub_io *io, unsigned at, uint64_t ns);
/* Writes what is the layer's own and belongs to no I/O, one piece at a time of a thread; then written() is
 * called. @mem: has to stay until then. */
void ub_layer_write(struct ub_queue *q, unsigned at, int fd, const void *mem, uint32_t len,
		    uint64_t offset);
const struct ub_layer_on *ub_layer_on(const struct ub_queue *q, unsigned at);
void *ub_layer_queue_state(struct ub_queue *q, unsigned at);
void *ub_layer_io_state(struct ub_queue *q, const struct ub_io *io, unsigned at);
/* The number of the queue that an I/O came in. */
unsigned ub_layer_io_queue(const struct ub_queue *q, const struct ub_io *io);
/* Something goes wrong: the first error is told in the device's log. */
void ub_layer_fault(struct ub_queue *q, unsigned at, int error);
