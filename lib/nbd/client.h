/* SPDX-License-Identifier: MIT */
/* Handshakes over a socket, for whoever may wait: with a deadline. */
#pragma once

#include "nbd/address.h"
#include "nbd/handshake.h"
#include "tls/tls.h"

/* @tls in what follows: what encrypts the connection before anything is asked for; NULL: plain text. */

/* Asks for the export called @name as @wish says, GO or INFO, over a socket that is connected, and stays open. Return: 0,
 * or a negative errno with a message: as of ub_nbd_next(); -ECONNRESET, -ETIMEDOUT: the server hangs up, or says
 * nothing. */
int ub_nbd_ask(int fd, struct ub_tls *tls, enum ub_nbd_wish wish, const char *name,
	       const struct ub_patience *patience, struct ub_nbd_export *ret_export,
	       struct ub_error *err);

/* The same of an export's address, to GO into it. Where there is none of its name, the message has those that there are,
 * for which the server is connected to once more. */
int ub_nbd_enter(int fd, const struct ub_nbd_address *address, struct ub_tls *tls,
		 const struct ub_patience *patience, struct ub_nbd_export *ret_export,
		 struct ub_error *err);

/* Called for each export that a server lists; the texts are the server's, with any byte but NUL. */
typedef int ub_nbd_each_fn(void *arg, const char *name, const char *description,
			   const struct ub_nbd_export *export);

/* Lists all exports, each with what it is (all 0 of one that can't be asked). Return: 0, what @each returned if
 * that is not 0, or a negative errno with a message. */
int ub_nbd_list(const struct ub_nbd_address *address, struct ub_tls *tls,
		const struct ub_patience *patience, ub_nbd_each_fn *each, void *arg,
		struct ub_error *err);
