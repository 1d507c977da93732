/* SPDX-License-Identifier: MIT */
/*
 * The target `loop`: a device over a regular file or another block device. This half decides, from
 * what the user wants (options) and what the backing can (probe.h), what is served; loop_io.c
 * serves it.
 */
#include "target/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/backing.h"
#include "target/caller.h"
#include "target/path.h"
#include "target/probe.h"

#define SECTOR_SIZE 512U

struct loop_args {
	char *file;
	uint64_t offset;
	uint64_t size;
	uint64_t create;
	int direct;
};

static const struct ub_opt options[] = {
	{
		.name = "file",
		.letter = 'f',
		.type = UB_OPT_STRING,
		.offset = offsetof(struct loop_args, file),
		.metavar = "FILE",
		.help = "regular file or block device to serve",
		.completer = "file",
		.required = 1,
	},
	{
		.name = "offset",
		.type = UB_OPT_SIZE,
		.offset = offsetof(struct loop_args, offset),
		.metavar = "SIZE",
		.help = "where in FILE the device starts: any byte (default: 0)",
	},
	{
		.name = "size",
		.changed_by = "ublk resize",
		.chosen = 1,
		.type = UB_OPT_SIZE,
		.offset = offsetof(struct loop_args, size),
		.metavar = "SIZE",
		.help = "size of the device (default: up to the end of FILE)",
		.min = SECTOR_SIZE,
	},
	{
		.name = "direct",
		.chosen = 1,
		.type = UB_OPT_SWITCH,
		.offset = offsetof(struct loop_args, direct),
		.metavar = "on|off|auto",
		.help = "do direct I/O, past the page cache (default: auto)",
	},
	{
		.name = "create",
		.type = UB_OPT_SIZE,
		.offset = offsetof(struct loop_args, create),
		.metavar = "SIZE",
		.help = "make FILE first, sparse and of this size; it must not exist",
		.min = SECTOR_SIZE,
		.transient = 1,
	},
	UB_OPT_END,
};

static void loop_defaults(void *args)
{
	((struct loop_args *)args)->direct = -1;
}

static int loop_check(const void *args, struct ub_error *err)
{
	const struct loop_args *a = args;

	if (!a->file || a->file[0] == '\0')
		return ub_fail_text(err, UB_STAGE_USAGE, -EINVAL, "missing the file to serve");
	return 0;
}

static int loop_call(void *args, struct ub_caller *ret_caller, struct ub_error *err)
{
	struct loop_args *a = args;

	/* Else loop_check() says what is wrong. */
	return a->file ? ub_caller_file(&a->file, ret_caller, err) : 0;
}

static uint32_t at_least(uint32_t value, uint32_t least)
{
	return value < least ? least : value;
}

/*
 * What direct I/O wants of addresses in memory. Where these are the clients', each piece of a request
 * that lies by itself has to be whole blocks too (bdev_iter_is_aligned(), up to Linux 6.17).
 */
static uint32_t memory_align(const struct ub_probe *p)
{
	return at_least(p->direct_memory, p->direct_alignment);
}

/* The smallest logical block with direct I/O. A client aligns its memory to that, and to more only if
 * it is very careful: the kernel's file systems do not. */
static uint32_t direct_block(const struct ub_probe *p, const struct ub_open_request *req)
{
	return req->zero_copy ? memory_align(p) : p->direct_alignment;
}

/* Why there can be no direct I/O with this logical block. Return: @why, or NULL if there can. */
static const char *why_not_direct(const struct ub_probe *p, const struct ub_open_request *req,
				  uint32_t logical, uint64_t offset, char *why, size_t size)
{
	uint32_t need = p->direct_alignment, block = direct_block(p, req);
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	if (need == 0)
		(void)snprintf(why, size, "the file system does not offer it for this file");
	else if (need > page)
		(void)snprintf(why, size, "it needs blocks of %u bytes, more than a page", need);
	else if (offset % need)
		(void)snprintf(why, size, "it needs an --offset that is a multiple of %u", need);
	else if (need > logical)
		(void)snprintf(why, size, "it needs --logical-block-size %u", need);
	else if (block > logical)
		(void)snprintf(why, size, "with zero-copy it needs --logical-block-size %u", block);
	else
		return NULL;
	return why;
}

/* Chooses the logical block and direct or buffered I/O: each may ask something of the other. */
static int choose_io(struct ub_tgt *tgt, struct loop_args *a, const struct ub_open_request *req,
		     const struct ub_probe *p, struct ub_notes *notes, struct ub_error *err)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	uint32_t logical = req->logical_block_size;
	char buf[100];
	const char *why;
	int ret;

	if (!logical) {
		logical = p->logical;
		if (a->direct == 1)
			logical = at_least(logical, direct_block(p, req));
		/* The driver takes no more. */
		if (logical > page)
			logical = page;
	}
	tgt->logical_block_size = logical;
	if (a->direct == 0)
		return 0;
	why = why_not_direct(p, req, logical, a->offset, buf, sizeof(buf));
	if (!why) {
		ret = ub_set_direct(tgt->files[0], true);
		if (ret < 0)
			return ub_fail(err, UB_STAGE_BACKING, ret, "cannot do direct I/O on %s",
				       a->file);
		a->direct = 1;
		return 0;
	}
	if (a->direct == 1)
		return ub_fail_text(err, UB_STAGE_BACKING, -EINVAL,
				    "cannot do direct I/O on %s: %s", a->file, why);
	ub_note(notes, "I/O is buffered, not direct: %s", why);
	a->direct = 0;
	return 0;
}

/* Which bytes of the backing are served, but for the last ones that are no whole block. */
static int choose_range(struct ub_tgt *tgt, const struct loop_args *a,
			const struct ub_open_request *req, struct ub_error *err)
{
	struct ub_backing *b = &tgt->backings.at[UB_LOOP_BACKING];
	uint64_t left = b->size > a->offset ? b->size - a->offset : 0, size = a->size;

	/* What was served: what was asked for may have ended within a block. */
	if (req->expect && req->expect->at[UB_LOOP_BACKING].length)
		size = req->expect->at[UB_LOOP_BACKING].length;
	if (req->size)
		size = req->size;
	if (req->expect && size > left)
		return ub_fail_text(
			err, UB_STAGE_BACKING, -ESTALE,
			"cannot serve %s: the device has %llu bytes of it, from %llu on, "
			"and it ends at %llu now",
			a->file, (unsigned long long)size, (unsigned long long)a->offset,
			(unsigned long long)b->size);
	if (b->size == 0)
		return ub_fail_text(err, UB_STAGE_BACKING, -EINVAL, "cannot serve %s: it is empty",
				    a->file);
	if (left == 0)
		return ub_fail_text(err, UB_STAGE_BACKING, -EINVAL,
				    "cannot start at %llu in %s: it has %llu bytes",
				    (unsigned long long)a->offset, a->file,
				    (unsigned long long)b->size);
	if (size > left)
		return ub_fail_text(
			err, UB_STAGE_BACKING, -EINVAL,
			"cannot serve %llu bytes of %s: it has %llu from offset %llu on",
			(unsigned long long)size, a->file, (unsigned long long)left,
			(unsigned long long)a->offset);
	b->offset = a->offset;
	b->length = size ? size : left;
	return 0;
}

static int choose_size(struct ub_tgt *tgt, struct loop_args *a, const struct ub_open_request *req,
		       struct ub_notes *notes, struct ub_error *err)
{
	int ret = ub_tgt_set_size(tgt, tgt->backings.at[UB_LOOP_BACKING].length, notes, err);

	if (ret < 0) {
		ub_error_prefix(err, "cannot serve %s", a->file);
		return ret;
	}
	/* What was asked for stays: --adopt compares with that. */
	if (!a->size || req->size)
		a->size = tgt->size;
	tgt->backings.at[UB_LOOP_BACKING].length = tgt->size;
	return 0;
}

/* The rest of what the device tells about itself: the backing's, as far as the offset keeps it. */
static void describe(struct ub_tgt *tgt, const struct loop_args *a,
		     const struct ub_open_request *req, const struct ub_probe *p)
{
	uint32_t logical = tgt->logical_block_size;
	bool splits = p->block && (logical < p->logical || a->offset % p->logical);

	tgt->physical_block_size = logical;
	if (a->offset % p->physical == 0)
		tgt->physical_block_size = at_least(p->physical, logical);
	if (p->io_min && a->offset % p->io_min == 0)
		tgt->io_min = at_least(p->io_min, tgt->physical_block_size);
	if (p->io_opt && a->offset % p->io_opt == 0)
		tgt->io_opt = p->io_opt;
	tgt->rotational = p->rotational;
	/* The client sends no flush then, and none of its writes is to be durable more than the others. */
	tgt->volatile_cache = !tgt->read_only && !(a->direct == 1 && p->block && p->write_through);
	tgt->write_zeroes = !tgt->read_only;
	/* A block device does not discard parts of its blocks. */
	if (p->granularity && !req->no_discard && !splits)
		tgt->discard_granularity = at_least(p->granularity, logical);
	tgt->ops_per_io = 1;
}

/* A descriptor that was inherited is what it leads to: its number means nothing later. */
static int name_descriptor(struct ub_tgt *tgt, struct loop_args *a, struct ub_error *err)
{
	char *file, *path;

	if (!ub_caller_is_descriptor(a->file))
		return 0;
	file = ub_path_of(tgt->files[0]);
	path = file ? strdup(file) : NULL;
	if (!path) {
		free(file);
		return ub_fail(err, UB_STAGE_BACKING, -ENOMEM, "cannot name %s", a->file);
	}
	free(a->file);
	free(tgt->backings.at[UB_LOOP_BACKING].path);
	a->file = file;
	tgt->backings.at[UB_LOOP_BACKING].path = path;
	return 0;
}

static int make_state(struct ub_tgt *tgt, const struct loop_args *a,
		      const struct ub_open_request *req, const struct ub_probe *p)
{
	struct ub_loop *loop = calloc(1, sizeof(*loop));
	bool direct = a->direct == 1;

	if (!loop)
		return -ENOMEM;
	loop->offset = a->offset;
	loop->resume = direct ? memory_align(p) : 1;
	loop->durable = direct && p->block;
	loop->pushes = p->own_cache;
	loop->direct = direct;
	loop->locked = !req->no_lock && !req->probe;
	atomic_init(&loop->can_zero_range, true);
	atomic_init(&loop->can_punch, p->block || p->granularity);
	atomic_init(&loop->can_discard, p->block);
	tgt->state = loop;
	tgt->brief = p->local;
	tgt->freezable = p->freezable;
	tgt->memory_align = direct ? memory_align(p) : 0;
	/* Into the page cache it is copied at once. */
	tgt->stable_data = direct && p->stable_data;
	return 0;
}

static int open_all(struct ub_tgt *tgt, struct loop_args *a, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err)
{
	struct ub_backing backing;
	struct ub_probe p;
	int ret = ub_backing_open(tgt, a->file, a->create, req, notes, err);

	if (ret == 0)
		ret = name_descriptor(tgt, a, err);
	if (ret == 0 && !req->probe)
		ub_backings_note(tgt, notes);
	if (ret == 0)
		ret = choose_range(tgt, a, req, err);
	if (ret == 0)
		ret = ub_backing_take(tgt, UB_LOOP_BACKING, req, err);
	if (ret < 0)
		return ret;
	/* Asking whether holes can be punched would change the file's times. */
	backing = tgt->backings.at[UB_LOOP_BACKING];
	tgt->read_only = !backing.writable;
	backing.writable &= !req->probe;
	ret = ub_probe_backing(tgt->files[0], &backing, &p, err);
	if (ret < 0)
		return ret;
	ret = choose_io(tgt, a, req, &p, notes, err);
	if (ret < 0)
		return ret;
	ret = choose_size(tgt, a, req, notes, err);
	if (ret < 0)
		return ret;
	describe(tgt, a, req, &p);
	ret = make_state(tgt, a, req, &p);
	if (ret < 0)
		return ub_fail(err, UB_STAGE_BACKING, ret, "cannot serve %s", a->file);
	atomic_init(&tgt->write_error, req->write_error);
	return 0;
}

static int loop_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		     struct ub_notes *notes, struct ub_error *err)
{
	struct loop_args *a = args;
	int ret = loop_check(a, err);

	if (ret == 0 && a->create && req->read_only)
		ret = ub_fail_text(err, UB_STAGE_USAGE, -EINVAL,
				   "cannot create %s: nothing could be written to it", a->file);
	if (ret == 0)
		ret = open_all(tgt, a, req, notes, err);
	if (ret < 0) {
		ub_tgt_undo(tgt);
		ub_tgt_close(tgt);
		return ret;
	}
	if (tgt->created[UB_LOOP_BACKING])
		a->create = 0;
	return 0;
}

static int loop_queue_open(struct ub_tgt *tgt, struct ub_tgt_queue *tq, struct ub_error *err)
{
	int fd = ub_backing_open_again(tgt->files[UB_LOOP_BACKING]);

	if (fd < 0)
		return ub_fail(err, UB_STAGE_BACKING, fd, "cannot open %s once more",
			       tgt->backings.at[UB_LOOP_BACKING].path);
	tq->files[tq->nr_files++] = fd;
	return 0;
}

static int64_t loop_room(struct ub_tgt *tgt)
{
	const struct ub_backing *b = &tgt->backings.at[UB_LOOP_BACKING];
	int ret = ub_backing_measure(tgt, UB_LOOP_BACKING);

	if (ret < 0)
		return ret;
	return b->size > b->offset ? (int64_t)(b->size - b->offset) : 0;
}

static int loop_make_room(struct ub_tgt *tgt, uint64_t size)
{
	const struct ub_loop *loop = tgt->state;
	int64_t room = loop_room(tgt);
	int ret = 0;

	if (room < 0)
		return (int)room;
	if (size > (uint64_t)room)
		return -EFBIG;
	if (size <= tgt->backings.at[UB_LOOP_BACKING].length)
		return 0;
	if (loop->locked)
		ret = ub_backing_lock(tgt, UB_LOOP_BACKING, size, NULL);
	if (!ret)
		tgt->backings.at[UB_LOOP_BACKING].length = size;
	return ret;
}

static void loop_resized(struct ub_tgt *tgt, void *args)
{
	const struct ub_loop *loop = tgt->state;

	((struct loop_args *)args)->size = tgt->size;
	if (tgt->limit > tgt->size)
		return;
	tgt->backings.at[UB_LOOP_BACKING].length = tgt->size;
	if (loop->locked)
		ub_backing_unlock_rest(tgt, UB_LOOP_BACKING, tgt->size);
}

static void loop_close(struct ub_tgt *tgt)
{
	free(tgt->state);
	tgt->state = NULL;
}

const struct ub_target ub_target_loop = {
	.name = "loop",
	.summary = "a file or another block device",
	.options = options,
	.args_size = sizeof(struct loop_args),
	.queue_size = sizeof(struct ub_loop_syncs),
	.recoverable = true,
	.zero_copy = true,
	.defaults = loop_defaults,
	.check = loop_check,
	.call = loop_call,
	.open = loop_open,
	.queue_open = loop_queue_open,
	.submit = ub_loop_submit,
	.complete = ub_loop_complete,
	.room = loop_room,
	.make_room = loop_make_room,
	.resized = loop_resized,
	.close = loop_close,
};
