/* SPDX-License-Identifier: MIT */
#include "layer/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 8U

int ub_layer_list_add(struct ub_layer_list *list, const struct ub_layer *type)
{
	void *args;

	if (list->count == UB_LAYERS_MAX)
		return -E2BIG;
	args = calloc(1, type->args_size);
	if (!args)
		return -ENOMEM;
	if (type->defaults)
		type->defaults(args);
	list->layer[list->count++] = (struct ub_layer_asked){type, args};
	return 0;
}

/* Two that wrote it would write over each other. */
static int check_file(const struct ub_layer_list *list, unsigned at, struct ub_error *err)
{
	const struct ub_layer_asked *l = &list->layer[at];
	const char *file = l->type->file ? l->type->file(l->args) : NULL;

	if (file && (file[0] != '/' || file[strlen(file) - 1] == '/'))
		return ub_fail_usage(err, "layer %s: %s is no absolute path of a file",
				     l->type->name, file);
	for (unsigned i = 0; file && l->type->written && i < at; i++) {
		const struct ub_layer_asked *other = &list->layer[i];
		const char *same = other->type->file ? other->type->file(other->args) : NULL;

		if (same && strcmp(same, file) == 0)
			return ub_fail_usage(err, "layer %s: another layer has %s", l->type->name,
					     file);
	}
	return 0;
}

int ub_layer_list_check(const struct ub_layer_list *list, uint64_t patience_ms,
			struct ub_error *err)
{
	uint64_t most_ms = 0;
	int ret = 0;

	for (unsigned i = 0; i < list->count && !ret; i++) {
		const struct ub_layer_asked *l = &list->layer[i];

		if (l->type->check)
			ret = l->type->check(l->args, err);
		if (!ret)
			ret = check_file(list, i, err);
		if (l->type->most_ms)
			most_ms += l->type->most_ms(l->args);
	}
	if (!ret && most_ms > patience_ms)
		ret = ub_fail_usage(
			err, "--layer: a request could be kept for %llu ms, and may be for %llu",
			(unsigned long long)most_ms, (unsigned long long)patience_ms);
	return ret;
}

void ub_layer_list_done(struct ub_layer_list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		ub_opt_free_strings(list->layer[i].type->options, list->layer[i].args);
		free(list->layer[i].args);
	}
	*list = (struct ub_layer_list){0};
}

static uint32_t rounded(uint32_t bytes)
{
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

int ub_layers_open(struct ub_tgt *tgt, const struct ub_layer_list *list, bool recovers,
		   struct ub_error *err)
{
	uint32_t queue_at = ub_layers_queue_bytes(tgt, NULL);
	uint32_t io_at = rounded(tgt->type->io_size) + UB_LAYER_WAIT_SIZE;
	struct ub_layers *layers;
	int ret = 0;

	if (!list->count)
		return 0;
	layers = calloc(1, sizeof(*layers));
	if (!layers)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot make the layers");
	layers->list = list;
	layers->wait_at = rounded(tgt->type->io_size);
	tgt->layers = layers;
	for (unsigned i = 0; i < list->count && !ret; i++) {
		struct ub_layer_on *on = &layers->on[i];
		const char *file;

		on->type = list->layer[i].type;
		on->args = list->layer[i].args;
		on->queue_at = queue_at;
		on->io_at = io_at;
		queue_at += rounded(on->type->queue_size);
		io_at += rounded(on->type->io_size);
		file = on->type->file ? on->type->file(on->args) : NULL;
		on->off = file && recovers;
		if (on->type->open && !on->off)
			ret = on->type->open(on, file, err);
		layers->count += !ret;
	}
	if (ret)
		ub_layers_close(tgt);
	return ret;
}

int ub_layers_open_file(struct ub_tgt *tgt, unsigned at, const char *path, struct ub_error *err)
{
	struct ub_layer_on *on = &tgt->layers->on[at];
	int ret = on->type->open(on, path, err);

	if (!ret)
		atomic_store(&on->off, false);
	return ret;
}

void ub_layers_close(struct ub_tgt *tgt)
{
	struct ub_layers *layers = tgt->layers;

	while (layers && layers->count > 0) {
		struct ub_layer_on *on = &layers->on[--layers->count];

		if (on->type->close && !on->off)
			on->type->close(on);
	}
	free(layers);
	tgt->layers = NULL;
}

uint32_t ub_layers_queue_bytes(const struct ub_tgt *tgt, const struct ub_layer_list *list)
{
	uint32_t bytes = rounded(tgt->type->queue_size + tgt->queue_more);

	for (unsigned i = 0; list && i < list->count; i++)
		bytes += rounded(list->layer[i].type->queue_size);
	return bytes;
}

uint32_t ub_layers_io_bytes(const struct ub_target *type, const struct ub_layer_list *list)
{
	uint32_t bytes = rounded(type->io_size);

	if (list && list->count)
		bytes += UB_LAYER_WAIT_SIZE;
	for (unsigned i = 0; list && i < list->count; i++)
		bytes += rounded(list->layer[i].type->io_size);
	return bytes;
}

uint32_t ub_layers_own_ops(const struct ub_layer_list *list)
{
	uint32_t ops = 0;

	for (unsigned i = 0; list && i < list->count; i++)
		ops += list->layer[i].type->written != NULL;
	return ops;
}
