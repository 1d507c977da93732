/* SPDX-License-Identifier: MIT */
#include "nbd/secure.h"

#include <errno.h>
#include <stddef.h>

static bool names_credentials(const struct ub_nbd_secure_args *args)
{
	return args->ca || args->cert || args->key || args->psk || args->user || args->hostname;
}

int ub_nbd_secure(const struct ub_nbd_address *address, const struct ub_nbd_secure_args *args,
		  struct ub_tls_options *ret_options, struct ub_error *err)
{
	struct ub_tls_options o = {
		.ca = args->ca,
		.cert = args->cert,
		.key = args->key,
		.folder = address->certificates,
		.psk = args->psk ? args->psk : address->psk,
		.user = args->user ? args->user : address->user,
		.host = args->hostname      ? args->hostname
			: address->hostname ? address->hostname
					    : address->host,
	};

	if (!address->tls && !args->tls)
		return names_credentials(args)
			       ? ub_fail_usage(err, "TLS is not asked for: nbds:// or --tls does")
			       : 0;
	/* The kernel encrypts TCP alone. */
	if (address->socket)
		return ub_fail_usage(err, "there is no TLS over a unix socket, only over TCP");
	if (o.folder && (o.ca || o.cert || o.key))
		return ub_fail_usage(err, "certificates are named by the URI and by options");
	if (o.psk && (o.folder || o.ca || o.cert || o.key || args->hostname || address->hostname))
		return ub_fail_usage(err, "a key that both have stands in place of certificates");
	if (o.user && !o.psk)
		return ub_fail_usage(err, "a user is of a file of keys: --tls-psk");
	if (o.key && !o.cert)
		return ub_fail_usage(err, "a key is of a certificate: --tls-cert");
	*ret_options = o;
	return 1;
}
