/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "nbd/address.h"
#include "nbd/wire.h"

static const struct {
	const char *scheme;
	bool is_unix, tls;
} schemes[] = {
	{"nbd://", false, false},
	{"nbds://", false, true},
	{"nbd+unix://", true, false},
	{"nbds+unix://", true, true},
};

static int bad(const char *uri, struct ub_error *err, const char *why)
{
	return ub_fail_usage(err, "%s: %.300s", why, uri);
}

static int digit_of(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

/* @text: @len bytes of a URI. Return: them without %XX, to be freed; NULL with errno EINVAL or ENOMEM. */
static char *decode(const char *text, size_t len)
{
	_cleanup_free_ char *out = malloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i++) {
		int high, low;

		if (text[i] != '%') {
			out[n++] = text[i];
			continue;
		}
		high = i + 2 < len ? digit_of(text[i + 1]) : -1;
		low = high >= 0 ? digit_of(text[i + 2]) : -1;
		/* No name has a NUL in it. */
		if (low < 0 || (high == 0 && low == 0)) {
			errno = EINVAL;
			return NULL;
		}
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	if (out)
		out[n] = '\0';
	return UB_TAKE_PTR(out);
}

static int take(const char *uri, const char *text, size_t len, char **ret, struct ub_error *err)
{
	free(*ret);
	*ret = decode(text, len);
	if (*ret)
		return 0;
	return errno == EINVAL ? bad(uri, err, "a % is not followed by a byte in hexadecimal")
			       : ub_fail(err, UB_STAGE_USAGE, -errno, "cannot read %s", uri);
}

/* [USER@]HOST[:PORT], [USER@][ADDRESS][:PORT] */
static int read_authority(const char *uri, const char *text, size_t len, struct ub_nbd_address *a,
			  struct ub_error *err)
{
	const char *at = memchr(text, '@', len), *end = text + len, *host, *host_end, *port = NULL;
	int ret = 0;

	if (at && !a->tls)
		return bad(uri, err, "there are no users without TLS");
	if (at)
		ret = take(uri, text, (size_t)(at - text), &a->user, err);
	if (ret)
		return ret;
	text = host = at ? at + 1 : text;
	len = (size_t)(end - text);
	if (len && *text == '[') {
		host++;
		host_end = memchr(text, ']', len);
		if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
			return bad(uri, err, "the address in brackets has no end");
		port = host_end + 1 < end ? host_end + 2 : NULL;
	} else {
		host_end = memchr(text, ':', len);
		port = host_end ? host_end + 1 : NULL;
		host_end = host_end ? host_end : end;
	}
	if (host == host_end)
		return bad(uri, err, "there is no host");
	if (port == end)
		return bad(uri, err, "there is no port behind the colon");
	ret = take(uri, host, (size_t)(host_end - host), &a->host, err);
	if (!ret && port)
		ret = take(uri, port, (size_t)(end - port), &a->port, err);
	return ret;
}

/* Where a parameter of the query goes. Return: NULL: there is no such. */
static char **place_of(struct ub_nbd_address *a, const char *key, size_t len)
{
	const struct {
		const char *key;
		char **to;
	} places[] = {
		{"socket", &a->socket},
		{"tls-certificates", a->tls ? &a->certificates : NULL},
		{"tls-psk-file", a->tls ? &a->psk : NULL},
		{"tls-hostname", a->tls ? &a->hostname : NULL},
	};

	for (size_t i = 0; i < UB_ARRAY_SIZE(places); i++)
		if (strlen(places[i].key) == len && strncmp(places[i].key, key, len) == 0)
			return places[i].to;
	return NULL;
}

/* "socket=PATH&..." */
static int read_query(const char *uri, const char *text, struct ub_nbd_address *a,
		      struct ub_error *err)
{
	static const char verify[] = "tls-verify-peer=";
	int ret = 0;

	while (text && *text && !ret) {
		size_t len = strcspn(text, "&;");
		const char *value = memchr(text, '=', len);
		char **place = value ? place_of(a, text, (size_t)(value - text)) : NULL;

		/* Nothing is not the same as nothing said. */
		if (place && a->tls && len == (size_t)(value + 1 - text))
			return bad(uri, err, "its query names something, and does not say what");
		if (place)
			ret = take(uri, value + 1, (size_t)(text + len - value - 1), place, err);
		else if (!a->tls || strncmp(text, verify, strlen(verify)) != 0)
			return bad(uri, err, "its query has what is not known");
		/* It always is. */
		else if (len != strlen(verify) + 1 || value[1] != '1')
			return bad(uri, err, "who the server is is checked, always");
		text += len;
		text += *text != '\0';
	}
	return ret;
}

int ub_nbd_parse_uri(const char *uri, struct ub_nbd_address *ret_address, struct ub_error *err)
{
	struct ub_nbd_address a = {0};
	const char *rest = NULL, *path, *query;
	size_t i, len;
	int ret = 0;

	for (i = 0; i < UB_ARRAY_SIZE(schemes) && !rest; i++) {
		len = strlen(schemes[i].scheme);
		if (strncasecmp(uri, schemes[i].scheme, len) == 0)
			rest = uri + len;
	}
	if (!rest)
		return bad(uri, err,
			   "it begins with none of nbd://, nbd+unix://, nbds://, nbds+unix://");
	i--;
	a.tls = schemes[i].tls;
	if (strchr(rest, '#'))
		return bad(uri, err, "there are no fragments");
	len = strcspn(rest, "/?");
	path = rest + len;
	query = strchr(path, '?');
	if (schemes[i].is_unix && len)
		ret = bad(uri, err, "a unix socket has no host");
	else if (!schemes[i].is_unix)
		ret = read_authority(uri, rest, len, &a, err);
	/* The slash behind the host is none of the name's. */
	path += *path == '/';
	if (!ret)
		ret = take(uri, path, query ? (size_t)(query - path) : strlen(path), &a.export,
			   err);
	if (!ret)
		ret = read_query(uri, query ? query + 1 : NULL, &a, err);
	if (!ret && schemes[i].is_unix && (!a.socket || !*a.socket))
		ret = bad(uri, err, "there is no ?socket=PATH");
	if (!ret && !schemes[i].is_unix && a.socket)
		ret = bad(uri, err, "a socket is of nbd+unix://");
	if (!ret && strlen(a.export) > NBD_NAME_MAX)
		ret = bad(uri, err, "the export's name is too long");
	if (ret)
		ub_nbd_address_done(&a);
	else
		*ret_address = a;
	return ret;
}

void ub_nbd_address_done(struct ub_nbd_address *address)
{
	free(address->host);
	free(address->port);
	free(address->socket);
	free(address->export);
	free(address->user);
	free(address->certificates);
	free(address->psk);
	free(address->hostname);
	*address = (struct ub_nbd_address){0};
}
