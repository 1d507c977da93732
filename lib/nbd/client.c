/* SPDX-License-Identifier: MIT */
#include "nbd/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/escape.h"

/* A connection, and how it is used. */
struct way {
	int fd;
	struct ub_tls *tls;
	const struct ub_patience *patience;
};

/* More than that no server lists in earnest. */
#define EXPORTS_MAX 10000U
/* And so many are named when the one that is wanted is not there. */
#define NAMED_MAX 8U

/* Return: whether there was a record that is no data, and the connection goes on behind it. */
static bool pass_record(const struct way *w, int *ret_error, struct ub_error *err)
{
	if (!w->tls || *ret_error != -EIO)
		return false;
	*ret_error = ub_tls_take_record(w->fd, err);
	return *ret_error == 0;
}

/* Sends or receives all of it. Return: 0 or a negative errno, with a message where the other end has told why;
 * -ECONNRESET: the server has hung up. */
static int move_all(const struct way *w, char *data, size_t len, bool out, struct ub_error *err)
{
	while (len > 0) {
		ssize_t n = out ? send(w->fd, data, len, MSG_NOSIGNAL) : recv(w->fd, data, len, 0);
		int ret = n < 0 ? -errno : 0;

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0)
			return -ECONNRESET;
		if (pass_record(w, &ret, err))
			continue;
		if (ret != -EAGAIN && ret != -EINTR)
			return ret == -EPIPE ? -ECONNRESET : ret;
		ret = ub_patience_poll(w->patience, w->fd, out ? POLLOUT : POLLIN);
		if (ret)
			return ret;
	}
	return 0;
}

static int run_step(const struct way *w, struct ub_nbd_handshake *h, int step, struct ub_error *err)
{
	int ret;

	/* Also of one that does not stop talking. */
	if (ub_left_ms(w->patience->deadline_ms) == 0)
		return ub_fail(err, UB_STAGE_CONNECT, -ETIMEDOUT, "it does not answer");
	if (step == UB_NBD_SECURE)
		return ub_tls_shake(w->tls, w->fd, w->patience, err);
	ret = move_all(w, h->data, h->len, step == UB_NBD_SEND, err);
	if (!ret || (err && err->code))
		return ret;
	return ret == -ECONNRESET
		       ? ub_fail_text(err, UB_STAGE_CONNECT, ret,
				      "it hangs up before it has answered%s",
				      w->tls ? "; does it want a certificate, or another one?" : "")
		       : ub_fail(err, UB_STAGE_CONNECT, ret, "it does not answer");
}

/* Up to the next step that is neither to send nor to receive, nor TLS. Return: it, or a negative errno with a
 * message. */
static int run(const struct way *w, struct ub_nbd_handshake *h, struct ub_error *err)
{
	int step, ret = 0;

	do {
		step = ub_nbd_next(h, err);
		if (step != UB_NBD_SEND && step != UB_NBD_RECEIVE && step != UB_NBD_SECURE)
			return step;
		ret = run_step(w, h, step, err);
	} while (!ret);
	return ret;
}

static enum ub_nbd_start start_of(const struct way *w)
{
	return w->tls ? UB_NBD_ANEW_TLS : UB_NBD_ANEW;
}

static const char *place(const struct ub_nbd_address *a)
{
	return a->socket ? a->socket : a->host;
}

int ub_nbd_ask(int fd, struct ub_tls *tls, enum ub_nbd_wish wish, const char *name,
	       const struct ub_patience *patience, struct ub_nbd_export *ret_export,
	       struct ub_error *err)
{
	_cleanup_free_ struct ub_nbd_handshake *h = malloc(sizeof(*h));
	const struct way w = {fd, tls, patience};
	int ret = h ? ub_nbd_begin(h, wish, name, start_of(&w)) : -ENOMEM;

	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "the export cannot be asked for");
	ret = run(&w, h, err);
	if (ret < 0)
		return ret;
	*ret_export = h->export;
	return 0;
}

struct found {
	char *name, *description;
};

struct found_list {
	struct found *list;
	size_t count;
};

static void found_done(struct found_list *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->list[i].name);
		free(f->list[i].description);
	}
	free(f->list);
}

static int add_found(struct found_list *f, const struct ub_nbd_handshake *h)
{
	struct found *list = realloc(f->list, (f->count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	f->list = list;
	list[f->count] = (struct found){strndup(h->name, h->name_len),
					strndup(h->description, h->description_len)};
	f->count++;
	return list[f->count - 1].name && list[f->count - 1].description ? 0 : -ENOMEM;
}

/* Up to @most of them; more are left out. */
static int find_all(const struct way *w, struct ub_nbd_handshake *h, size_t most,
		    struct found_list *f, struct ub_error *err)
{
	int step = UB_NBD_DONE;

	(void)ub_nbd_begin(h, UB_NBD_LIST, "", start_of(w));
	while (f->count < most && (step = run(w, h, err)) == UB_NBD_FOUND)
		if (add_found(f, h) != 0)
			return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot list its exports");
	return step < 0 ? step : 0;
}

/* One that can't be used is listed all the same. Return: whether another one can be asked for: the answer has come,
 * all of it. */
static bool look_at(const struct way *w, struct ub_nbd_handshake *h, const char *name,
		    struct ub_nbd_export *ret_export)
{
	struct ub_error err = {0};
	int ret = ub_nbd_begin(h, UB_NBD_INFO, name, UB_NBD_GREETED);

	if (ret)
		return true;
	ret = run(w, h, &err);
	if (ret == UB_NBD_DONE)
		*ret_export = h->export;
	return ret == UB_NBD_DONE || ret == -ENOENT || ret == -EACCES;
}

static int list_over(const struct way *w, struct ub_nbd_handshake *h, ub_nbd_each_fn *each,
		     void *arg, struct ub_error *err)
{
	_cleanup_(found_done)
	struct found_list f = {0};
	int ret = find_all(w, h, EXPORTS_MAX, &f, err);
	bool asks = true;

	for (size_t i = 0; i < f.count && !ret; i++) {
		struct ub_nbd_export export = {0};

		asks = asks && look_at(w, h, f.list[i].name, &export);
		ret = each(arg, f.list[i].name, f.list[i].description, &export);
	}
	return ret;
}

int ub_nbd_list(const struct ub_nbd_address *address, struct ub_tls *tls,
		const struct ub_patience *patience, ub_nbd_each_fn *each, void *arg,
		struct ub_error *err)
{
	_cleanup_free_ struct ub_nbd_handshake *h = malloc(sizeof(*h));
	_cleanup_close_ int fd = -1;
	int ret;

	if (!h)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot ask %s", place(address));
	fd = ub_nbd_connect(address, patience, err);
	if (fd < 0)
		return fd;
	ret = list_over(&(const struct way){fd, tls, patience}, h, each, arg, err);
	if (tls)
		ub_tls_bye(fd);
	if (ret < 0)
		ub_error_prefix(err, "cannot list the exports of %s", place(address));
	return ret;
}

/* To the message that there is no such export: which ones there are. */
static void add_names(const struct ub_nbd_address *address, struct ub_tls *tls,
		      const struct ub_patience *patience, struct ub_error *err)
{
	_cleanup_free_ struct ub_nbd_handshake *h = malloc(sizeof(*h));
	_cleanup_(found_done)
	struct found_list f = {0};
	struct ub_error ignored = {0};
	_cleanup_close_ int fd = ub_nbd_connect(address, patience, &ignored);
	const struct way w = {fd, tls, patience};
	char text[40];

	if (!h || fd < 0 || find_all(&w, h, NAMED_MAX + 1, &f, &ignored) != 0)
		return;
	for (size_t i = 0; i < f.count && i < NAMED_MAX; i++) {
		ub_escape(f.list[i].name, text, sizeof(text));
		ub_error_add(err, "%s \"%s\"", i ? "," : "; it has", text);
	}
	if (f.count > NAMED_MAX)
		ub_error_add(err, ", ...");
}

int ub_nbd_enter(int fd, const struct ub_nbd_address *address, struct ub_tls *tls,
		 const struct ub_patience *patience, struct ub_nbd_export *ret_export,
		 struct ub_error *err)
{
	int ret = ub_nbd_ask(fd, tls, UB_NBD_GO, address->export, patience, ret_export, err);

	if (ret == -ENOENT)
		add_names(address, tls, patience, err);
	if (ret < 0)
		ub_error_prefix(err, "cannot use %s", place(address));
	return ret;
}
