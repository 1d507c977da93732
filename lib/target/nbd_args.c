/* SPDX-License-Identifier: MIT */
/* The options of the target nbd. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "target/nbd.h"
#include "target/path.h"

#define KEEP_MAX (1U << 30)

#define AT(field) .offset = offsetof(struct ub_nbd_args, field)

/* clang-format off */
const struct ub_opt ub_nbd_args_options[] = {
	{ .name = "uri", .type = UB_OPT_STRING, AT(uri), .metavar = "URI",
	  .conflicts = "host port socket export",
	  .help = "nbd[s]://HOST[:PORT]/EXPORT, or nbd+unix:///EXPORT?socket=PATH" },
	{ .name = "host", .type = UB_OPT_STRING, AT(host), .metavar = "HOST", .conflicts = "uri socket",
	  .help = "the server, over TCP: a name or an address" },
	{ .name = "port", .type = UB_OPT_U32, AT(port), .metavar = "PORT", .min = 1, .max = UINT16_MAX,
	  .conflicts = "uri socket",
	  .help = "its port (default: 10809)" },
	{ .name = "socket", .type = UB_OPT_STRING, AT(socket), .metavar = "PATH",
	  .conflicts = "uri host port", .completer = "file", .help = "the server, by its unix socket" },
	{ .name = "export", .type = UB_OPT_STRING, AT(export), .metavar = "NAME", .conflicts = "uri",
	  .help = "the export's name (default: the server's own)" },
	{ .name = "hold-sec", .type = UB_OPT_INT, AT(hold_s), .metavar = "SEC", .max = 1000000000,
	  .help = "let I/O wait so long for a server (default: for ever)" },
	{ .name = "request-sec", .type = UB_OPT_U32, AT(request_s), .metavar = "SEC", .max = 86400,
	  .help = "give a connection up that does not answer; 0: never (default: 60)" },
	{ .name = "replay-memory", .type = UB_OPT_SIZE32, AT(replay), .metavar = "SIZE",
	  .max = KEEP_MAX,
	  .help = "keep so much of what a server that dies may lose (default: 8M)" },
	{ .name = "write-through", .type = UB_OPT_FLAG, AT(write_through),
	  .help = "have the server make every write durable at once" },
	UB_NBD_SECURE_OPTIONS(struct ub_nbd_args, secure),
	UB_OPT_END,
};
/* clang-format on */

void ub_nbd_args_defaults(void *args)
{
	((struct ub_nbd_args *)args)->hold_s = -1;
	((struct ub_nbd_args *)args)->request_s = 60;
	((struct ub_nbd_args *)args)->replay = 8U << 20;
}

const char *ub_nbd_args_place(const void *args)
{
	const struct ub_nbd_args *a = args;

	return a->uri ? a->uri : a->socket ? a->socket : a->host;
}

static bool copy(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return *ret || !text;
}

int ub_nbd_args_address(const struct ub_nbd_args *a, struct ub_nbd_address *ret_address,
			struct ub_error *err)
{
	struct ub_nbd_address address = {0};
	char port[8];

	if (a->uri)
		return ub_nbd_parse_uri(a->uri, ret_address, err);
	if (!a->host && !a->socket)
		return ub_fail_usage(err, "one of --uri, --host and --socket is needed");
	if (a->export && strlen(a->export) > NBD_NAME_MAX)
		return ub_fail_usage(err, "the export's name is too long");
	(void)snprintf(port, sizeof(port), "%u", a->port);
	if (!copy(&address.host, a->host) || !copy(&address.socket, a->socket) ||
	    !copy(&address.export, a->export ? a->export : "") ||
	    !copy(&address.port, a->port ? port : NULL)) {
		ub_nbd_address_done(&address);
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot use the server");
	}
	*ret_address = address;
	return 0;
}

static bool is_relative(const char *path)
{
	return path && *path != '/';
}

int ub_nbd_args_check(const void *args, struct ub_error *err)
{
	const struct ub_nbd_args *a = args;
	struct ub_tls_options tls;
	struct ub_nbd_address address;
	int ret = ub_nbd_args_address(a, &address, err);

	if (ret)
		return ret;
	/* A server, and the next one, are elsewhere. */
	if (a->uri && (is_relative(address.socket) || is_relative(address.certificates) ||
		       is_relative(address.psk)))
		ret = ub_fail_usage(err, "what it names is no absolute path: %s", a->uri);
	else
		ret = ub_nbd_secure(&address, &a->secure, &tls, err);
	ub_nbd_address_done(&address);
	return ret < 0 ? ret : 0;
}

int ub_nbd_args_call(void *args, struct ub_caller *ret_caller, struct ub_error *err)
{
	struct ub_nbd_args *a = args;
	char **const files[] = {&a->secure.ca, &a->secure.cert, &a->secure.key, &a->secure.psk};

	for (size_t i = 0; i < UB_ARRAY_SIZE(files); i++) {
		char *path = *files[i] ? ub_path_absolute(*files[i]) : NULL;

		if (*files[i] && !path)
			return ub_fail(err, UB_STAGE_CONNECT, -errno, "cannot find %s", *files[i]);
		if (path)
			free(*files[i]);
		*files[i] = path;
	}
	return a->socket ? ub_caller_file(&a->socket, ret_caller, err) : 0;
}
