/* SPDX-License-Identifier: MIT */
/*
 * Where the server is. A name is looked up anew before each round of tries, by a process beside the server
 * (nbd/names.h), so that a name that leads elsewhere by now is followed even where the server from before still
 * answers; then its addresses are tried in turn. Where it can't be looked up, the place that was the last one is tried.
 *
 * All threads of a device are connected to one place: what promises that one connection sees what another has flushed
 * is one server, and not all of a name. So while any thread is connected, the others go there; the first that is
 * connected when none is decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/clean.h"
#include "target/nbd.h"

/* From another mount namespace, too. */
static int open_socket(struct ub_nbd *n, const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const char *name = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, (size_t)(name - path + 1));

	n->dir = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (n->dir < 0)
		return -errno;
	if (snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d%s", n->dir, name) >=
	    (int)sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(&n->where.addr, &un, sizeof(un));
	n->where.len = sizeof(un);
	return 0;
}

int ub_nbd_where_open(struct ub_nbd *n, const struct ub_nbd_address *address, int fd)
{
	socklen_t len = sizeof(n->where.addr);
	int ret;

	if (address->socket && strchr(address->socket, '/'))
		return open_socket(n, address->socket);
	if (fd >= 0) {
		if (getpeername(fd, (struct sockaddr *)&n->where.addr, &len) != 0)
			return -errno;
		n->where.len = len;
	}
	if (address->socket)
		return 0;
	ret = ub_nbd_port(address, &n->port, NULL);
	if (!ret && fd < 0)
		n->where.len = ub_nbd_read_address(address->host, n->port, &n->where.addr);
	return ret;
}

void ub_nbd_where_follow(struct ub_nbd *n, const struct ub_nbd_address *address,
			 const struct ub_patience *patience, struct ub_notes *notes)
{
	struct sockaddr_storage addr;
	int ret;

	if (address->socket || ub_nbd_read_address(address->host, n->port, &addr))
		return;
	ret = ub_nbd_names_start(address->host, patience, &n->names);
	if (ret)
		ub_note(notes, "%.80s is not looked up again when it moves: %s", address->host,
			ret == -EXDEV ? "process 1 would see other names" : strerror(-ret));
}

void ub_nbd_where_close(struct ub_nbd *n)
{
	ub_close(&n->dir);
	ub_nbd_names_end(n->names);
	n->names = NULL;
}

/* What is known without asking. Return: whether other threads are there. */
static bool take_known(struct ub_nbd *n, struct ub_nbd_link *l)
{
	bool is_used;

	(void)pthread_mutex_lock(&n->lock_where);
	l->places[0] = n->where;
	is_used = n->there > 0;
	(void)pthread_mutex_unlock(&n->lock_where);
	l->place = 0;
	l->nr_places = l->places[0].len ? 1 : 0;
	return is_used;
}

int ub_nbd_where_ask(struct ub_queue *q)
{
	struct ub_nbd *n = ub_nbd_of(q);

	return take_known(n, ub_nbd_link_of(q)) || !n->names ? -ENOENT : ub_nbd_names_ask(n->names);
}

void ub_nbd_where_answered(struct ub_queue *q, uint32_t len)
{
	struct ub_nbd_link *l = ub_nbd_link_of(q);
	char *text = l->stage;
	unsigned count = 0;

	text[len] = '\0';
	while (count < UB_NBD_PLACES) {
		struct ub_nbd_place place;

		place.len = ub_nbd_take_address(&text, ub_nbd_of(q)->port, &place.addr);
		if (!place.len)
			break;
		l->places[count++] = place;
	}
	if (count)
		l->nr_places = count;
}

bool ub_nbd_where_settle(struct ub_nbd *n, const struct ub_nbd_place *place)
{
	bool fits;

	(void)pthread_mutex_lock(&n->lock_where);
	fits = n->there == 0 || (place->len == n->where.len &&
				 memcmp(&place->addr, &n->where.addr, place->len) == 0);
	if (fits) {
		n->where = *place;
		n->there++;
	}
	(void)pthread_mutex_unlock(&n->lock_where);
	return fits;
}

void ub_nbd_where_leave(struct ub_nbd *n)
{
	(void)pthread_mutex_lock(&n->lock_where);
	n->there--;
	(void)pthread_mutex_unlock(&n->lock_where);
}
