/* SPDX-License-Identifier: MIT */
/*
 * TLS over a TCP connection that is there: a helper process does the handshake and hands the keys to the kernel, and
 * from then on whatever is sent and received on the same socket is encrypted (kTLS). So a program that is static and
 * small needs no TLS of its own, and its data goes the way that it went without.
 *
 * The helper reads files where its starter is, at its start. Later ones of the same device's connections need none,
 * and may be asked for by any thread without waiting. Knows no protocol above.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/patience.h"

/* What to prove, and what to believe; borrowed, NULL where it is not wanted. */
struct ub_tls_options {
	const char *ca;         /* a file of certificates; NULL: what the system trusts */
	const char *cert, *key; /* our own; key NULL: it is in the same file */
	const char
		*folder; /* in place of those three: ca-cert.pem, client-cert.pem, client-key.pem */
	const char *psk,
		*user;    /* in place of all certificates: a file of USER:HEXKEY, and whose key */
	const char *host; /* whom the server's certificate has to be of */
	bool lock;        /* the helper's memory is not to be swapped out */
};

struct ub_tls;

/* No connection says that: there is no helper any more, and no handshake. */
#define UB_TLS_GONE EOWNERDEAD

/* What a negative errno of a connection means, this one among them. */
const char *ub_tls_words(int error);

/* Starts a helper, which has read all its files then. Return: 0 with @ret_tls, to be ended by ub_tls_end(), or a
 * negative errno with a message. */
int ub_tls_start(const struct ub_tls_options *options, const struct ub_patience *patience,
		 struct ub_tls **ret_tls, struct ub_error *err);
/* Takes NULL. */
void ub_tls_end(struct ub_tls *tls);

/* Has the helper go where this process lives, which has left the mounts that it was started among. Where it may not,
 * it stays. */
void ub_tls_follow(struct ub_tls *tls);

/* Encrypts a connection on which nothing is on its way that is not TLS's. Return: 0, or a negative errno with a
 * message: then it is of no use any more. */
int ub_tls_shake(struct ub_tls *tls, int fd, const struct ub_patience *patience,
		 struct ub_error *err);

/*
 * The same, without waiting: an int32_t comes on the socket that is returned, 0 or a negative errno, or its end
 * if whoever shakes hands has died. To be closed. @fd is borrowed until then. Then ub_tls_is_on() has to be asked.
 * Return: it, or a negative errno; -UB_TLS_GONE.
 */
int ub_tls_ask(const struct ub_tls *tls, int fd, uint32_t timeout_ms);

/* Is all that is sent and received encrypted by the kernel? */
bool ub_tls_is_on(int fd);

/*
 * Takes a record that is no data off an encrypted connection: recv() says -EIO in front of it.
 * Return: 0: go on; or a negative errno with a message, of the connection's end: what the other end has told,
 * -EKEYEXPIRED if it changes its keys (another connection has new ones), -EIO: there is no such record.
 */
int ub_tls_take_record(int fd, struct ub_error *err);

/* Says that this is the end, so that it is not taken for somebody's who cuts the line. */
void ub_tls_bye(int fd);
