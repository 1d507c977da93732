/* SPDX-License-Identifier: MIT */
/* The target `nbd`: an export of an NBD server, by a connection for each thread. */
#include "target/nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "nbd/client.h"

#define BLOCK 512U
/* What is larger is no block: the driver refuses parameters from a gigabyte on, and the protocol moves no more at once
 * where nothing is said. */
#define PREFERRED_MAX (32U << 20)
#define OPEN_MS 15000
/* A recovery whose NBD server does not answer goes on by itself after that, and the connection comes later. Not too
 * soon (TCP sends a lost SYN again after one, three and seven seconds): who is away may have lost what was not flushed. */
#define RECOVER_MS 10000
/* The process that looks names up has started. */
#define NAMES_MS 3000
/* So long, at the most, before who waits for the device has waited enough: he is to hear why it is not there. */
#define TELL_MS 1000

/* For the ring, which waits by itself. */
static int make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ? -errno : 0;
}

/* While the files that it needs can be reached. Return: 0, also where none is wanted, or a negative errno with a
 * message. */
static int begin_tls(struct ub_nbd *n, const struct ub_nbd_args *a,
		     const struct ub_nbd_address *address, const struct ub_patience *patience,
		     struct ub_error *err)
{
	struct ub_tls_options wanted;
	int ret = ub_nbd_secure(address, &a->secure, &wanted, err);

	if (ret <= 0)
		return ret;
	/* It was not tried what kTLS does with pages of others. */
	if (n->zero_copy)
		return ub_fail_usage(err,
				     "--data-path zero-copy is not for an encrypted connection");
	wanted.lock = n->lock;
	return ub_tls_start(&wanted, patience, &n->tls, err);
}

/* There is nobody, or nobody who answers; whoever does, and is not the right one, is something else. */
static bool is_absence(int error, bool connected)
{
	switch (-error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case ETIMEDOUT:
	case ESHUTDOWN:
		return true;
	/* No such host, or no socket at that path; one that has no time; no way there. */
	case ENOENT:
	case EAGAIN:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return !connected;
	default:
		return false;
	}
}

/* Return: 0 with @ret_fd, or a negative errno with a message; @ret_absent: nobody is there. */
static int reach(struct ub_nbd *n, const struct ub_nbd_address *address,
		 const struct ub_patience *patience, int *ret_fd, bool *ret_absent,
		 struct ub_error *err)
{
	_cleanup_close_ int fd = ub_nbd_connect(address, patience, err);
	int ret = fd < 0 ? fd : ub_nbd_enter(fd, address, n->tls, patience, &n->export, err);

	*ret_absent = ret && is_absence(ret, fd >= 0);
	if (ret)
		return ret;
	ret = make_blocking(fd);
	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot use a socket");
	*ret_fd = UB_TAKE_FD(fd);
	return 0;
}

/* A recovery whose NBD server is away goes on: what that exports is known. */
static void go_on_without(struct ub_nbd *n, const struct ub_export *known, int error,
			  struct ub_notes *notes, const struct ub_error *why)
{
	n->export = (struct ub_nbd_export){
		.size = known->size,
		.flags = (uint16_t)known->flags,
		.block_min = known->block_min,
		.block_preferred = known->block_preferred,
		.block_max = known->block_max,
	};
	n->unreached = error;
	ub_note(notes, "requests wait: %.180s", why->msg);
}

/* For what takes @ms at the most. */
static struct ub_patience patience_for(const struct ub_open_request *req, int ms)
{
	int left = ub_left_ms(req->patience.deadline_ms);
	int64_t last = req->patience.deadline_ms - (left / 4 < TELL_MS ? left / 4 : TELL_MS);
	struct ub_patience ret = req->patience;

	ret.deadline_ms = ub_now_ms() + ms;
	if (req->patience.deadline_ms && last < ret.deadline_ms)
		ret.deadline_ms = last;
	return ret;
}

/* It was reached, or is to be later. @error: why it was not, or 0. Return: 0, or a negative errno, with a message. */
static int find_again(struct ub_nbd *n, const struct ub_nbd_address *address,
		      const struct ub_open_request *req, int error, struct ub_notes *notes,
		      struct ub_error *why)
{
	struct ub_patience names = patience_for(req, NAMES_MS);
	int ret = ub_nbd_where_open(n, address, n->spare);

	if (ret)
		return ub_fail(why, UB_STAGE_CONNECT, ret, "cannot find it again");
	if (!req->probe || req->recovers)
		ub_nbd_where_follow(n, address, &names, notes);
	if (error && !n->where.len && !n->names)
		return error;
	if (error)
		go_on_without(n, req->export, error, notes, why);
	return 0;
}

static int dial(struct ub_nbd *n, const struct ub_nbd_args *a, const struct ub_open_request *req,
		struct ub_notes *notes, struct ub_error *err)
{
	bool known = req->recovers && req->export, absent = false;
	struct ub_patience tls = patience_for(req, OPEN_MS);
	struct ub_patience all = patience_for(req, known ? RECOVER_MS : OPEN_MS);
	struct ub_nbd_address address;
	struct ub_error why = {0};
	int ret = ub_nbd_args_address(a, &address, err);

	if (ret)
		return ret;
	n->asking = req->patience;
	ret = begin_tls(n, a, &address, &tls, &why);
	if (!ret)
		ret = reach(n, &address, &all, &n->spare, &absent, &why);
	if (!ret || (known && absent))
		ret = find_again(n, &address, req, ret, notes, &why);
	if (!ret)
		(void)snprintf(n->name, sizeof(n->name), "%s", address.export);
	ub_nbd_address_done(&address);
	if (ret == -EINTR)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret, "interrupted");
	if (ret && err)
		*err = why;
	return ret;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Rounded down to a power of two. */
static uint32_t power_of_two(uint32_t value)
{
	while (value & (value - 1))
		value &= value - 1;
	return value;
}

/* What may be lost with a server is kept where anything can be, by each thread its part: nbd_replay.c. */
static void plan_replay(struct ub_tgt *tgt, uint32_t keep, uint32_t threads)
{
	struct ub_nbd *n = tgt->state;

	/* What lies behind the connection's state, and to align it. */
	tgt->queue_more = UB_NBD_CHANGE_SIZE + (n->zero_copy ? UB_NBD_STAGE : 0);
	if (!(n->export.flags & NBD_EXPORT_MULTI_CONN)) {
		tgt->most_threads = 1;
		tgt->most_threads_why = "its server promises no second connection";
		threads = 1;
	}
	n->gathers = tgt->volatile_cache && !tgt->read_only;
	if (!n->gathers || keep < UB_NBD_CHANGE_SIZE)
		return;
	n->keep = larger(keep / threads / UB_NBD_CHANGE_SIZE, 1) * UB_NBD_CHANGE_SIZE;
	tgt->queue_more += n->keep;
}

static int describe(struct ub_tgt *tgt, const struct ub_open_request *req, struct ub_notes *notes,
		    struct ub_error *err)
{
	const struct ub_nbd *n = tgt->state;
	const struct ub_nbd_export *e = &n->export;
	uint32_t least = larger(e->block_min, BLOCK);
	uint32_t preferred =
		e->block_preferred < PREFERRED_MAX ? e->block_preferred : PREFERRED_MAX;

	if (least > (uint32_t)sysconf(_SC_PAGESIZE))
		return ub_fail_text(err, UB_STAGE_BACKING, -EOPNOTSUPP,
				    "cannot serve an export whose blocks have %u bytes",
				    e->block_min);
	tgt->logical_block_size = larger(req->logical_block_size, least);
	tgt->physical_block_size = larger(tgt->logical_block_size, power_of_two(preferred));
	tgt->io_min = tgt->physical_block_size;
	tgt->ops_per_io = 1;
	tgt->own_ops = UB_NBD_OWN_OPS;
	tgt->most_io = e->block_max;
	tgt->read_only = req->read_only || e->flags & NBD_EXPORT_READ_ONLY;
	tgt->rotational = e->flags & NBD_EXPORT_ROTATIONAL;
	tgt->volatile_cache = n->asks_flush && !n->write_through;
	tgt->write_zeroes = !tgt->read_only && e->flags & NBD_EXPORT_WRITE_ZEROES;
	if (!tgt->read_only && !req->no_discard && e->flags & NBD_EXPORT_TRIM)
		tgt->discard_granularity = tgt->physical_block_size;
	tgt->export = (struct ub_export){e->size, e->flags, e->block_min, e->block_preferred,
					 e->block_max};
	return ub_tgt_set_size(tgt, req->size ? req->size : e->size, notes, err);
}

static int nbd_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		    struct ub_notes *notes, struct ub_error *err)
{
	const struct ub_nbd_args *a = args;
	struct ub_nbd *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot use %s",
			       ub_nbd_args_place(a));
	tgt->state = n;
	(void)pthread_mutex_init(&n->lock_where, NULL);
	n->dir = n->spare = -1;
	n->hold_ms = a->hold_s < 0 ? -1 : a->hold_s * 1000LL;
	n->request_s = a->request_s;
	n->lock = req->lock;
	n->zero_copy = req->zero_copy;
	ret = dial(n, a, req, notes, err);
	n->asks_flush = n->export.flags & NBD_EXPORT_FLUSH;
	n->write_through = a->write_through && n->asks_flush;
	if (!ret)
		ret = describe(tgt, req, notes, err);
	plan_replay(tgt, a->replay, larger(req->threads, 1));
	atomic_init(&n->inherits, req->recovers && tgt->volatile_cache && !tgt->read_only);
	tgt->write_error = req->write_error;
	if (ret) {
		ub_tgt_close(tgt);
		return ret;
	}
	if (tgt->size > n->export.size) {
		ret = ub_fail_text(err, UB_STAGE_BACKING, -ESTALE, "%s has become smaller",
				   ub_nbd_args_place(a));
		ub_tgt_close(tgt);
		return ret;
	}
	if (req->probe)
		ub_close(&n->spare);
	n->place = ub_nbd_args_place(a);
	return 0;
}

static int nbd_queue_open(struct ub_tgt *tgt, struct ub_tgt_queue *tq, struct ub_error *err)
{
	struct ub_nbd *n = tgt->state;
	struct ub_nbd_link *l = tq->state;
	struct ub_patience patience = n->asking;
	struct ub_nbd_export export;
	int ret = 0;

	l->kept.ring = (char *)(((uintptr_t)(l + 1) + UB_NBD_CHANGE_SIZE - 1) &
				~(uintptr_t)(UB_NBD_CHANGE_SIZE - 1));
	l->kept.size = n->keep;
	l->out = n->zero_copy ? l->kept.ring + n->keep : NULL;
	l->asked = l->call_fd = -1;
	n->write_through |= tgt->durable_writes && n->asks_flush;
	if (n->gathers && tgt->most_threads != 1) {
		l->call_fd = eventfd(0, EFD_CLOEXEC);
		if (l->call_fd < 0)
			return ub_fail(err, UB_STAGE_CONNECT, -errno, "cannot make an event");
	}
	l->beside = n->links;
	l->kept.beside = n->links ? &n->links->kept : NULL;
	n->links = l;
	l->fd = n->spare;
	n->spare = -1;
	/* The first thread; the server has left its caller's mounts by now, and the helper has read all. */
	if (n->tls && (l->fd >= 0 || n->unreached))
		ub_tls_follow(n->tls);
	if (n->unreached) {
		l->state = LINK_WAITING;
		return 0;
	}
	/* By its address: the caller's namespace may be out of reach by now. */
	patience.deadline_ms = ub_now_ms() + OPEN_MS;
	if (l->fd < 0) {
		l->fd = ub_nbd_connect_to((const struct sockaddr *)&n->where.addr, n->where.len,
					  &patience);
		if (l->fd < 0)
			return ub_fail(err, UB_STAGE_CONNECT, l->fd, "cannot connect to %s",
				       n->place);
		ret = ub_nbd_ask(l->fd, n->tls, UB_NBD_GO, n->name, &patience, &export, err);
		if (ret)
			ub_error_prefix(err, "cannot use %s", n->place);
		else
			ret = make_blocking(l->fd);
	}
	if (!ret)
		(void)ub_nbd_where_settle(n, &n->where);
	return ret;
}

static void nbd_queue_close(struct ub_tgt *tgt, struct ub_tgt_queue *tq)
{
	struct ub_nbd_link *l = tq->state;

	if (l->state == LINK_SECURING || l->state == LINK_LOOKING)
		ub_close(&l->asked);
	/* Of one that was never opened it is 0. */
	if (l->call_fd > 0)
		ub_close(&l->call_fd);
	if (l->fd <= 0)
		return;
	/* So it need not take the end for a failure. */
	if (l->state == LINK_UP && !l->sending) {
		ub_nbd_make_head(l, l->flush_head, NBD_CMD_DISC, 0, 0, 0, 0);
		(void)send(l->fd, l->flush_head, sizeof(l->flush_head),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		if (((struct ub_nbd *)tgt->state)->tls)
			ub_tls_bye(l->fd);
	}
	ub_close(&l->fd);
}

static void nbd_close(struct ub_tgt *tgt)
{
	struct ub_nbd *n = tgt->state;

	ub_close(&n->spare);
	ub_nbd_where_close(n);
	ub_tls_end(n->tls);
	(void)pthread_mutex_destroy(&n->lock_where);
	free(n);
	tgt->state = NULL;
}

const struct ub_target ub_target_nbd = {
	.name = "nbd",
	.summary = "an export of an NBD server",
	.options = ub_nbd_args_options,
	.args_size = sizeof(struct ub_nbd_args),
	.queue_size = sizeof(struct ub_nbd_link),
	.io_size = sizeof(struct ub_nbd_io),
	.recoverable = true,
	.zero_copy = true,
	.copies = true,
	.remote = true,
	.defaults = ub_nbd_args_defaults,
	.check = ub_nbd_args_check,
	.call = ub_nbd_args_call,
	.place = ub_nbd_args_place,
	.open = nbd_open,
	.queue_open = nbd_queue_open,
	.submit = ub_nbd_submit,
	.event = ub_nbd_event,
	.drained = ub_nbd_send,
	.leaves = ub_nbd_leaves,
	.queue_close = nbd_queue_close,
	.close = nbd_close,
};
