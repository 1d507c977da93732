/* SPDX-License-Identifier: MIT */
#include "spec/data_path.h"

#include <errno.h>

#include "kernel/uapi.h"

int ub_spec_path(const struct ub_spec *spec)
{
	if (spec->data_path != UB_PATH_AUTO)
		return spec->data_path;
	if (!spec->buffer_memory)
		return UB_PATH_COPY;
	return spec->unprivileged ? UB_PATH_GET_DATA : UB_PATH_USER_COPY;
}

bool ub_path_has_buffers(int path, const struct ub_target *target)
{
	return path != UB_PATH_ZERO_COPY && (path != UB_PATH_USER_COPY || !target->in_memory);
}

bool ub_path_has_pool(int path)
{
	return path == UB_PATH_USER_COPY || path == UB_PATH_GET_DATA;
}

/* ublk_ctrl_add_dev() refuses user copy, and takes recovery away in silence. */
int ub_spec_needs_root(struct ub_error *err, const char *option, const char *value)
{
	return ub_fail_text(err, UB_STAGE_ADD, -EPERM,
			    "cannot add a device with %s %s: an ordinary user's has none of that",
			    option, value);
}

int ub_spec_check_pool(const struct ub_spec *spec, int path, struct ub_error *err)
{
	if (!spec->buffer_memory || ub_path_has_pool(path))
		return 0;
	return ub_fail_usage(err,
			     "--buffer-memory is for --data-path user-copy and get-data: on path "
			     "%s %s",
			     ub_data_path_names[path],
			     path == UB_PATH_COPY ? "every request has its buffer"
						  : "there are no buffers");
}

int ub_spec_check_path(const struct ub_spec *spec, struct ub_error *err)
{
	uint32_t threads = ub_spec_threads(spec, spec->queues, spec->depth);
	uint64_t least = (uint64_t)threads * spec->max_io;
	int path = ub_spec_path(spec), ret;

	if (spec->unprivileged && path != UB_PATH_COPY && path != UB_PATH_GET_DATA)
		return ub_spec_needs_root(err, "data path", ub_data_path_names[path]);
	if (path == UB_PATH_ZERO_COPY && !spec->target->zero_copy)
		return ub_fail_usage(err,
				     "--data-path zero-copy is not for target %s: it has no file",
				     spec->target->name);
	if (spec->huge_pages && !ub_path_has_buffers(path, spec->target))
		return ub_fail_usage(
			err, "--huge-pages is for buffers, and target %s has none on path %s",
			spec->target->name, ub_data_path_names[path]);
	/* Its queue of tags has to have two places (kfifo_alloc()). */
	if (spec->depth < 2 && spec->batch == UB_BATCH_ON)
		return ub_fail_usage(err, "--batch on needs a --depth of 2 or more");
	if (path == UB_PATH_GET_DATA && spec->batch == UB_BATCH_ON)
		return ub_fail_usage(
			err, "--batch on is not for --data-path get-data: a write's data is "
			     "asked for one by one there");
	if (threads != spec->queues && spec->batch == UB_BATCH_ON)
		return ub_fail_usage(
			err, "--batch on is for one thread to a queue, not --threads %u for %u",
			spec->threads, spec->queues);
	if (!spec->buffer_memory)
		return 0;
	ret = ub_spec_check_pool(spec, path, err);
	if (ret)
		return ret;
	if (spec->buffer_memory < least)
		return ub_fail_usage(
			err,
			"--buffer-memory %llu is too little: %u threads, each with one "
			"request of %u bytes, need %llu",
			(unsigned long long)spec->buffer_memory, threads, spec->max_io,
			(unsigned long long)least);
	return 0;
}

uint64_t ub_spec_path_flags(const struct ub_spec *spec)
{
	uint64_t flags = spec->batch == UB_BATCH_ON ? UBLK_F_BATCH_IO : 0;

	switch (ub_spec_path(spec)) {
	case UB_PATH_USER_COPY:
		return flags | UBLK_F_USER_COPY;
	case UB_PATH_GET_DATA:
		return flags | UBLK_F_NEED_GET_DATA;
	case UB_PATH_ZERO_COPY:
		/* The second for what the driver fails to register by itself. */
		flags |= UBLK_F_AUTO_BUF_REG | UBLK_F_SUPPORT_ZERO_COPY;
		return spec->target->copies ? flags | UBLK_F_USER_COPY : flags;
	default:
		return flags;
	}
}

int ub_path_granted(uint64_t flags)
{
	if (flags & UBLK_F_AUTO_BUF_REG)
		return UB_PATH_ZERO_COPY;
	if (flags & UBLK_F_USER_COPY)
		return UB_PATH_USER_COPY;
	return flags & UBLK_F_NEED_GET_DATA ? UB_PATH_GET_DATA : UB_PATH_COPY;
}

/* May it be @path, as far as options and driver say? Return: why not, or UB_REASON_BEST. */
static int why_not(const struct ub_spec *spec, int path, uint64_t features)
{
	struct ub_spec faster = *spec;

	if (spec->unprivileged)
		return UB_REASON_USER;
	faster.data_path = path;
	/* Of what was checked for the path so far, only options on buffers are in the way. */
	if (ub_spec_check_path(&faster, NULL) != 0)
		return UB_REASON_BUFFERS;
	return ub_spec_path_flags(&faster) & ~features ? UB_REASON_DRIVER : UB_REASON_BEST;
}

void ub_spec_choose_path(struct ub_spec *spec, const struct ub_tgt *tgt, uint64_t features,
			 struct ub_notes *notes)
{
	/* A target in memory: between that and the request without a buffer, one copy for two. */
	int best = spec->target->in_memory ? UB_PATH_USER_COPY : UB_PATH_ZERO_COPY;

	if (spec->data_path != UB_PATH_AUTO) {
		spec->path_reason = UB_REASON_ASKED;
		if (spec->data_path == UB_PATH_ZERO_COPY && tgt->stable_data)
			ub_note(notes,
				"a client must not change what it is writing: what lies behind "
				"checks it, and with zero-copy gets the client's own memory");
		return;
	}
	/* As measured, of what copies as well: doc/performance.md. */
	if (!spec->target->in_memory && (!spec->target->zero_copy || spec->target->copies)) {
		spec->path_reason = UB_REASON_TARGET;
		return;
	}
	spec->path_reason = why_not(spec, best, features);
	/* A client aligns its memory to logical blocks, and to more only if it is very careful. */
	if (best == UB_PATH_ZERO_COPY && spec->path_reason == UB_REASON_BEST &&
	    tgt->memory_align > tgt->logical_block_size)
		spec->path_reason = UB_REASON_ALIGNMENT;
	/* A client may change what it is writing, as by a mapping: only a copy stands still. */
	if (best == UB_PATH_ZERO_COPY && spec->path_reason == UB_REASON_BEST && tgt->stable_data)
		spec->path_reason = UB_REASON_STABLE;
	if (spec->path_reason == UB_REASON_BEST)
		spec->data_path = best;
}
