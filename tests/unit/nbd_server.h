/* SPDX-License-Identifier: MIT */
/*
 * An NBD server for tests, in threads of this process, on a unix socket, with a cache that it loses when it dies. It
 * breaks single connections, dies with or without a word to whom it has had connections with, and is slow now and
 * then: what a client has sent before it closed a connection is carried out late. What has died, or was broken by the
 * server itself, carries out nothing more.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "must.h"
#include "nbd/wire.h"
#include "random.h"

#define SERVER_SIZE (1U << 20)

struct connection {
	struct server *server;
	struct connection *next;
	pthread_t thread;
	int fd;
	unsigned life; /* of the server's */
	bool cut;
};

struct server {
	char path[100];
	int listener;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	unsigned life;        /* goes up when it dies */
	bool away;            /* takes no connection */
	bool slow;
	struct connection *connections;
	char disk[SERVER_SIZE], stable[SERVER_SIZE];
};

static inline void pause_us(uint32_t us)
{
	const struct timespec time = {.tv_nsec = us * 1000L};

	(void)nanosleep(&time, NULL);
}

static inline bool take_all(int fd, void *to, size_t len)
{
	return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static inline bool give_all(int fd, const void *from, size_t len)
{
	return send(fd, from, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool reply_option(int fd, uint32_t option, uint32_t type, const void *data,
				uint32_t len)
{
	char head[NBD_OPTION_REPLY_SIZE];

	nbd_put64(head, NBD_OPTION_REPLY_MAGIC);
	nbd_put32(head + 8, option);
	nbd_put32(head + 12, type);
	nbd_put32(head + 16, len);
	return give_all(fd, head, sizeof(head)) && (!len || give_all(fd, data, len));
}

static inline bool shake_hands(int fd)
{
	char greeting[NBD_GREETING_SIZE], flags[4], option[NBD_OPTION_SIZE], data[64], export[12];

	nbd_put64(greeting, NBD_MAGIC);
	nbd_put64(greeting + 8, NBD_OPTION_MAGIC);
	nbd_put16(greeting + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	if (!give_all(fd, greeting, sizeof(greeting)) || !take_all(fd, flags, sizeof(flags)))
		return false;
	while (take_all(fd, option, sizeof(option))) {
		uint32_t number = nbd_get32(option + 8), len = nbd_get32(option + 12);

		if (len > sizeof(data) || (len && !take_all(fd, data, len)))
			return false;
		if (number != NBD_OPT_GO) {
			if (!reply_option(fd, number, NBD_REP_ERROR | 1, NULL, 0))
				return false;
			continue;
		}
		nbd_put16(export, NBD_INFO_EXPORT);
		nbd_put64(export + 2, SERVER_SIZE);
		nbd_put16(export + 10, 1 | NBD_EXPORT_FLUSH | NBD_EXPORT_FUA |
					       NBD_EXPORT_WRITE_ZEROES | NBD_EXPORT_MULTI_CONN);
		return reply_option(fd, number, NBD_REP_INFO, export, sizeof(export)) &&
		       reply_option(fd, number, NBD_REP_ACK, NULL, 0);
	}
	return false;
}

/* Return: whether it is done: the server has not died, nor broken the connection. */
static inline bool carry_out(struct connection *c, uint16_t flags, uint16_t command,
			     uint64_t offset, uint32_t len, char *data)
{
	struct server *s = c->server;
	bool done;

	(void)pthread_mutex_lock(&s->lock);
	done = c->life == s->life && !c->cut;
	if (done) {
		if (command == NBD_CMD_WRITE)
			memcpy(s->disk + offset, data, len);
		else if (command == NBD_CMD_WRITE_ZEROES)
			memset(s->disk + offset, 0, len);
		else if (command == NBD_CMD_READ)
			memcpy(data, s->disk + offset, len);
		else if (command == NBD_CMD_FLUSH)
			memcpy(s->stable, s->disk, SERVER_SIZE);
		if (flags & NBD_CMD_FLAG_FUA)
			memcpy(s->stable + offset, s->disk + offset, len);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return done;
}

static inline bool answer(struct connection *c)
{
	static _Thread_local char data[SERVER_SIZE];
	char head[NBD_REQUEST_SIZE], reply[NBD_REPLY_SIZE];
	uint16_t flags, command;
	uint64_t offset;
	uint32_t len;
	bool slow;

	if (!take_all(c->fd, head, sizeof(head)) || nbd_get32(head) != NBD_REQUEST_MAGIC)
		return false;
	flags = nbd_get16(head + 4);
	command = nbd_get16(head + 6);
	offset = nbd_get64(head + 16);
	len = nbd_get32(head + 24);
	if (command == NBD_CMD_DISC || len > SERVER_SIZE || offset > SERVER_SIZE - len)
		return false;
	if (command == NBD_CMD_WRITE && !take_all(c->fd, data, len))
		return false;
	(void)pthread_mutex_lock(&c->server->lock);
	slow = c->server->slow;
	(void)pthread_mutex_unlock(&c->server->lock);
	if (slow && any(16) == 0)
		pause_us(any(100000));
	if (!carry_out(c, flags, command, offset, len, data))
		return false;
	nbd_put32(reply, NBD_REPLY_MAGIC);
	nbd_put32(reply + 4, 0);
	memcpy(reply + 8, head + 8, 8);
	/* What can't be told to its client is done all the same, and so is what comes behind it. */
	(void)give_all(c->fd, reply, sizeof(reply));
	if (command == NBD_CMD_READ)
		(void)give_all(c->fd, data, len);
	return true;
}

static inline void *serve_connection(void *arg)
{
	struct connection *c = arg;

	if (shake_hands(c->fd))
		while (answer(c))
			;
	(void)shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static inline void *serve(void *arg)
{
	struct server *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		struct connection *c = calloc(1, sizeof(*c));

		*c = (struct connection){.server = s, .fd = fd};
		(void)pthread_mutex_lock(&s->lock);
		c->life = s->life;
		c->cut = s->away;
		c->next = s->connections;
		s->connections = c;
		(void)pthread_create(&c->thread, NULL, serve_connection, c);
		if (c->cut)
			(void)shutdown(fd, SHUT_RDWR);
		(void)pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static inline void server_begin(struct server *s)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", s->path);
	(void)unlink(s->path);
	(void)pthread_mutex_init(&s->lock, NULL);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(s->listener, (void *)&addr, sizeof(addr)) == 0);
	must(listen(s->listener, 64) == 0);
	must(pthread_create(&s->thread, NULL, serve, s) == 0);
}

/* One connection, any, breaks. */
static inline void server_cut(struct server *s)
{
	struct connection *cut = NULL;
	unsigned count = 0;

	(void)pthread_mutex_lock(&s->lock);
	for (struct connection *c = s->connections; c; c = c->next)
		if (c->life == s->life && !c->cut && any(++count) == 0)
			cut = c;
	if (cut) {
		cut->cut = true;
		(void)shutdown(cut->fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* It loses what it has not made durable. @silent: some of its clients do not hear of that. */
static inline void server_die(struct server *s, bool silent, bool away)
{
	(void)pthread_mutex_lock(&s->lock);
	for (struct connection *c = s->connections; c; c = c->next)
		if (c->life == s->life && !(silent && any(2)))
			(void)shutdown(c->fd, SHUT_RDWR);
	s->life++;
	s->away = away;
	memcpy(s->disk, s->stable, SERVER_SIZE);
	(void)pthread_mutex_unlock(&s->lock);
}

static inline void server_set(struct server *s, bool away, bool slow)
{
	(void)pthread_mutex_lock(&s->lock);
	s->away = away;
	s->slow = slow;
	(void)pthread_mutex_unlock(&s->lock);
}

static inline void server_end(struct server *s)
{
	server_die(s, false, true);
	(void)shutdown(s->listener, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	while (s->connections) {
		struct connection *c = s->connections;

		s->connections = c->next;
		(void)shutdown(c->fd, SHUT_RDWR);
		(void)pthread_join(c->thread, NULL);
		(void)close(c->fd);
		free(c);
	}
	(void)close(s->listener);
	(void)unlink(s->path);
}
