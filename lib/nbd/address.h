/* SPDX-License-Identifier: MIT */
/*
 * Where an NBD export is: from a URI (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md) or from
 * its parts, and a connected socket to it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/patience.h"

struct ub_nbd_address {
	char *host, *port; /* of TCP; port: a number, NULL: the protocol's own */
	char *socket;      /* path of a unix socket; NULL: TCP */
	char *export;      /* its name, "": the server's default; owned, as the others */
	bool tls;
	/* Of TLS alone, and NULL where the URI says nothing: whose key, a folder, a file of keys, a name. */
	char *user, *certificates, *psk, *hostname;
};

/*
 * nbd://HOST[:PORT]/[EXPORT], nbd+unix:///[EXPORT]?socket=PATH, and with TLS nbds://[USER@]HOST... and nbds+unix://,
 * with tls-certificates=FOLDER, tls-psk-file=FILE, tls-hostname=NAME in the query; bytes may be written as %XX, an
 * IPv6 address stands in brackets. Other parameters of the query are refused.
 * Return: 0 with @ret_address, to be freed by ub_nbd_address_done(); -EINVAL with a message, -ENOMEM.
 */
int ub_nbd_parse_uri(const char *uri, struct ub_nbd_address *ret_address, struct ub_error *err);
void ub_nbd_address_done(struct ub_nbd_address *address);

/* Of TCP: the port that it names, or the protocol's own. Return: 0, or -EINVAL with a message. */
int ub_nbd_port(const struct ub_nbd_address *address, uint16_t *ret_port, struct ub_error *err);

/* Connects to an address, and gives up when @patience is over. Return: a socket, as of ub_nbd_connect(), or a
 * negative errno. */
int ub_nbd_connect_to(const struct sockaddr *addr, socklen_t len,
		      const struct ub_patience *patience);

/* Sets what a TCP connection of ours has: TCP_NODELAY and keepalive. */
void ub_nbd_tune(int fd);

/*
 * Connects, and gives up when @patience is over. Names are looked up before.
 * Return: a socket, non-blocking and closed on exec, with TCP_NODELAY and keepalive; or a negative errno with a
 * message.
 */
int ub_nbd_connect(const struct ub_nbd_address *address, const struct ub_patience *patience,
		   struct ub_error *err);
