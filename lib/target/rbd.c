/* SPDX-License-Identifier: MIT */
/* The target `rbd`: an image of a Ceph cluster. Here is what is asked of it; lib/rbd/ has what librbd does. */
#include "target/rbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text, data, and the stacks and heaps of the threads, with librbd 16.2: 195 MiB mapped (150 with tcmalloc), 29 to 33
 * in memory. */
#define MAPPED (208ULL << 20)
#define RESIDENT (36ULL << 20)

#define AT(field) .offset = offsetof(struct ub_rbd_args, field)

/* clang-format off */
static const struct ub_opt options[] = {
	{ .name = "image", .type = UB_OPT_STRING, AT(image), .metavar = "IMAGE", .required = 1,
	  .help = "[POOL/[NAMESPACE/]]IMAGE (default of POOL: " UB_RBD_POOL ")" },
	{ .name = "snap", .type = UB_OPT_STRING, AT(snap), .metavar = "SNAP",
	  .help = "serve that snapshot of it, read-only" },
	{ .name = "conf", .type = UB_OPT_STRING, AT(conf), .metavar = "FILE", .completer = "file",
	  .help = "configuration of Ceph (default: $CEPH_CONF, or /etc/ceph/CLUSTER.conf)" },
	{ .name = "user", .type = UB_OPT_STRING, AT(user), .metavar = "ID",
	  .help = "the Ceph user, without \"client.\" (default: admin)" },
	{ .name = "cluster", .type = UB_OPT_STRING, AT(cluster), .metavar = "NAME",
	  .help = "the cluster's name (default: ceph)" },
	UB_OPT_END,
};
/* clang-format on */

static int take_part(const char **text, char *part, size_t size, struct ub_error *err)
{
	size_t len = strcspn(*text, "/");

	if (len == 0 || len >= size)
		return ub_fail_usage(err, "no part of an image's name is empty or longer than %zu",
				     size - 1);
	memcpy(part, *text, len);
	part[len] = '\0';
	*text += len;
	*text += **text == '/';
	return 0;
}

int ub_rbd_parse_name(const char *text, struct ub_rbd_name *ret_name, struct ub_error *err)
{
	unsigned slashes = 0;
	int ret = 0;

	*ret_name = (struct ub_rbd_name){.pool = UB_RBD_POOL};
	for (const char *c = text; *c; c++)
		slashes += *c == '/';
	if (slashes > 2)
		return ub_fail_usage(err, "an image is [POOL/[NAMESPACE/]]IMAGE, not %s", text);
	if (strchr(text, '@'))
		return ub_fail_usage(err, "a snapshot is named by --snap, not by %s", text);
	if (slashes > 0)
		ret = take_part(&text, ret_name->pool, sizeof(ret_name->pool), err);
	if (!ret && slashes > 1)
		ret = take_part(&text, ret_name->space, sizeof(ret_name->space), err);
	return ret ? ret : take_part(&text, ret_name->image, sizeof(ret_name->image), err);
}

static int rbd_check(const void *args, struct ub_error *err)
{
	const struct ub_rbd_args *a = args;
	struct ub_rbd_name name;

	if (!a->image)
		return ub_fail_usage(err, "--image is needed");
	if (a->snap && !*a->snap)
		return ub_fail_usage(err, "--snap is empty");
	return ub_rbd_parse_name(a->image, &name, err);
}

/* A server does not have the caller's environment. */
static int rbd_call(void *args, struct ub_caller *ret_caller, struct ub_error *err)
{
	struct ub_rbd_args *a = args;
	const char *usual = secure_getenv("CEPH_CONF");

	if (!a->conf && usual && *usual)
		a->conf = strdup(usual);
	else if (!a->conf &&
		 asprintf(&a->conf, "/etc/ceph/%s.conf", a->cluster ? a->cluster : "ceph") < 0)
		a->conf = NULL;
	if (!a->conf)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot use %s", a->image);
	return ub_caller_file(&a->conf, ret_caller, err);
}

static const char *rbd_place(const void *args)
{
	return ((const struct ub_rbd_args *)args)->image;
}

const struct ub_target ub_target_rbd = {
	.name = "rbd",
	.summary = "an image of a Ceph cluster",
	.options = options,
	.args_size = sizeof(struct ub_rbd_args),
	.io_size = sizeof(struct ub_rbd_io),
	.program = "ublk-server-rbd",
	.package = "ublk-rbd",
	.libraries = {.mapped = MAPPED, .resident = RESIDENT, .copies = true},
	.recoverable = true,
	.remote = true,
	.posts = true,
	.check = rbd_check,
	.call = rbd_call,
	.place = rbd_place,
	.open = ub_rbd_open,
	.connect = ub_rbd_connect,
	.submit = ub_rbd_submit,
	.complete = ub_rbd_complete,
	.rest = ub_rbd_rest,
	.room = ub_rbd_room,
	.make_room = ub_rbd_make_room,
	.let_go = ub_rbd_let_go,
	.close = ub_rbd_close,
};
