/* SPDX-License-Identifier: MIT */
/* Whether a server is to be reached with TLS, and by what credentials: from a URI and from options, which say the
 * same. */
#pragma once

#include <stdbool.h>

#include "base/opt.h"
#include "nbd/address.h"
#include "tls/tls.h"

/* What the options of UB_NBD_SECURE_OPTIONS fill. */
struct ub_nbd_secure_args {
	bool tls;
	char *ca, *cert, *key, *psk, *user, *hostname;
};

/* Of a table for @owner, whose member @member is a struct ub_nbd_secure_args. */
/* clang-format off */
#define UB_NBD_SECURE_OPTIONS(owner, member) \
	{ .name = "tls", .type = UB_OPT_FLAG, .offset = offsetof(owner, member.tls), \
	  .help = "encrypt, as nbds:// does" }, \
	{ .name = "tls-ca", .type = UB_OPT_STRING, .offset = offsetof(owner, member.ca), .metavar = "FILE", \
	  .conflicts = "tls-psk", .completer = "file", \
	  .help = "who may sign the server's certificate (default: the system's CAs)" }, \
	{ .name = "tls-cert", .type = UB_OPT_STRING, .offset = offsetof(owner, member.cert), .metavar = "FILE", \
	  .conflicts = "tls-psk", .completer = "file", .help = "our own certificate" }, \
	{ .name = "tls-key", .type = UB_OPT_STRING, .offset = offsetof(owner, member.key), .metavar = "FILE", \
	  .conflicts = "tls-psk", .completer = "file", .help = "its key (default: in that file)" }, \
	{ .name = "tls-hostname", .type = UB_OPT_STRING, .offset = offsetof(owner, member.hostname), \
	  .metavar = "NAME", .conflicts = "tls-psk", \
	  .help = "what the server's certificate has to be for (default: the host)" }, \
	{ .name = "tls-psk", .type = UB_OPT_STRING, .offset = offsetof(owner, member.psk), .metavar = "FILE", \
	  .conflicts = "tls-ca tls-cert tls-key tls-hostname", .completer = "file", \
	  .help = "a key that both have, in place of certificates: USER:HEXKEY" }, \
	{ .name = "tls-user", .type = UB_OPT_STRING, .offset = offsetof(owner, member.user), .metavar = "NAME", \
	  .help = "whose key of that file (default: the only one)" }
/* clang-format on */

/*
 * Return: 1: with TLS, by @ret_options, which borrows from both; 0: in plain text; or -EINVAL with a message: they
 * make no sense together.
 */
int ub_nbd_secure(const struct ub_nbd_address *address, const struct ub_nbd_secure_args *args,
		  struct ub_tls_options *ret_options, struct ub_error *err);
