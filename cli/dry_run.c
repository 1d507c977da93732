/* SPDX-License-Identifier: MIT */
#include "dry_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"
#include "device/group.h"
#include "device/launch.h"
#include "budget/limits.h"
#include "process/program.h"
#include "spec/data_path.h"
#include "kernel/ctrl.h"
#include "kernel/node.h"
#include "layer_text.h"
#include "plan_fields.h"
#include "table.h"

#define SCHEMA "ublk.plan/1"
#define GETTER(name) static void get_##name(const void *object, struct ub_value *value)

struct view {
	struct ub_spec *spec;
	struct ub_tgt tgt;
	struct ub_plan plan;
	struct ub_limit limits[UB_LIMIT_COUNT];
	bool fits;
	char *layers[UB_LAYERS_MAX]; /* as they are typed */
};

static const struct ub_limit *limit_of(const void *object)
{
	return object;
}

/* Unknown is null in JSON: there is no limit. */
GETTER(limit_have)
{
	if (limit_of(object)->have != UB_UNLIMITED)
		ub_value_number(value, limit_of(object)->have);
}

GETTER(limit_fits)
{
	ub_value_number(value, ub_limit_fits(limit_of(object)));
}

static const char *describe_limit(const void *element, char *buf, size_t size)
{
	const struct ub_limit *limit = element;
	char need[16], have[16];

	(void)snprintf(buf, size, "%s: %s needed, %s %s%s", limit->what,
		       ub_format_size(limit->need, need, sizeof(need)),
		       limit->have == UB_UNLIMITED
			       ? "any amount"
			       : ub_format_size(limit->have, have, sizeof(have)),
		       limit->left && limit->have != UB_UNLIMITED ? "free" : "allowed",
		       ub_limit_fits(limit) ? "" : ": too little");
	return buf;
}

static const struct view *view_of(const void *object)
{
	return object;
}

GETTER(depth)
{
	ub_value_number(value, view_of(object)->spec->depth);
}

GETTER(max_io)
{
	ub_value_number(value, view_of(object)->spec->max_io);
}

GETTER(data_path)
{
	ub_value_text(value, ub_data_path_names[ub_spec_path(view_of(object)->spec)]);
}

GETTER(batch)
{
	ub_value_number(value, view_of(object)->spec->batch == UB_BATCH_ON);
}

GETTER(layers)
{
	ub_value_number(value, view_of(object)->spec->layers.count);
}

static const void *layer_at(const void *object, size_t index)
{
	return view_of(object)->layers[index];
}

/* What only the driver can tell, and what the plan takes for it. */
static const char *const assumed[] = {
	"queues: not more than the machine's CPUs",
	"depth and max_io: granted as asked for",
	"descriptors: 24 bytes",
	"node: predicted, where --numa-node does not say it",
};

GETTER(assumed)
{
	(void)object;
	ub_value_number(value, UB_ARRAY_SIZE(assumed));
}

static const void *assumed_at(const void *object, size_t index)
{
	(void)object;
	return assumed[index];
}

/* clang-format off */
static const struct ub_field limit_fields[] = {
	{ .key = "name", .type = UB_FIELD_STRING, UB_AT(struct ub_limit, name) },
	{ .key = "need", .type = UB_FIELD_SIZE, UB_AT(struct ub_limit, need) },
	{ .key = "have", .type = UB_FIELD_SIZE, .get = get_limit_have },
	{ .key = "fits", .type = UB_FIELD_BOOL, .get = get_limit_fits },
	UB_FIELD_END,
};

#define VIEW(member) UB_AT(struct view, member)

static const struct ub_field plan_fields[] = {
	{ .key = "queues", .type = UB_FIELD_NUMBER, VIEW(plan.layout.queues) },
	{ .key = "depth", .type = UB_FIELD_NUMBER, .get = get_depth },
	{ .key = "max_io", .type = UB_FIELD_SIZE, .get = get_max_io },
	{ .key = "data_path", .type = UB_FIELD_STRING, .get = get_data_path },
	{ .key = "batch", .type = UB_FIELD_BOOL, .get = get_batch },
	{ .key = "layers", .type = UB_FIELD_LIST, .get = get_layers, .at = layer_at },
	{ .key = "regions", .type = UB_FIELD_LIST, .fields = ub_plan_region_fields,
	  UB_LIST_AT(struct view, plan.regions, plan.count), .json_only = true },
	{ .key = "total", .type = UB_FIELD_OBJECT, .fields = ub_plan_amount_fields,
	  UB_WITHIN(struct view, plan.total) },
	{ .key = "limits", .type = UB_FIELD_LIST, .fields = limit_fields,
	  UB_LIST_ALL(struct view, limits), .describe = describe_limit },
	{ .key = "fits", .type = UB_FIELD_BOOL, VIEW(fits) },
	{ .key = "assumed", .type = UB_FIELD_LIST, .get = get_assumed, .at = assumed_at },
	UB_FIELD_END,
};
/* clang-format on */

static int name_layers(struct view *view)
{
	const struct ub_layer_list *layers = &view->spec->layers;

	for (unsigned i = 0; i < layers->count; i++) {
		view->layers[i] = ub_layer_text(&layers->layer[i]);
		if (!view->layers[i])
			return -ENOMEM;
	}
	return 0;
}

static int print(struct ub_call *call, struct view *view)
{
	struct ub_out *out = &call->out;
	struct ub_columns columns;
	int ret = name_layers(view);

	if (ret)
		return ret;
	if (out->json) {
		ret = ub_out_begin(out, SCHEMA, NULL);
		if (ret == 0)
			ub_doc_set(out->doc, plan_fields, view);
		return ret;
	}
	ret = ub_columns_choose(ub_plan_region_fields,
				"REGION,QUEUE,MAPPED,START,MOST,LOCKED,PINNED,CHARGED,PAGE,NODE",
				NULL, &columns, NULL);
	if (ret == 0)
		ret = ub_table_print(out->file, &columns, view->plan.regions, view->plan.count,
				     sizeof(*view->plan.regions), out->colour);
	if (ret == 0) {
		(void)fputc('\n', out->file);
		ret = ub_block_print(out->file, plan_fields, view, out->colour);
	}
	return ret;
}

/* @ctrl: NULL: without the driver "auto" is what every driver has. */
static int make(struct view *view, const struct ub_ctrl *ctrl, struct ub_notes *notes,
		struct ub_error *err)
{
	struct ub_spec *spec = view->spec;
	const struct ub_open_request req = {
		.logical_block_size = spec->logical_block_size,
		.read_only = spec->read_only,
		.no_discard = spec->no_discard,
		.threads = ub_spec_threads_to_come(spec),
		.no_lock = true,
		.zero_copy = spec->data_path == UB_PATH_ZERO_COPY,
		.probe = true,
	};
	struct ub_allowance allowance;
	int ret = ub_program_check_proc(err);

	if (ret)
		return ret;
	view->tgt.type = spec->target;
	ret = spec->target->open(&view->tgt, spec->target_args, &req, notes, err);
	if (ret) {
		view->tgt.type = NULL;
		return ret;
	}
	if (ctrl)
		ub_spec_choose_path(spec, &view->tgt, ub_ctrl_features(ctrl), notes);
	ub_allowance_read(&allowance, ub_group_memory_max(spec->stay || spec->foreground));
	if (spec->mlock)
		ub_allowance_read_available(&allowance);
	ub_allowance_read_huge(&allowance);
	ret = ub_budget_fit(spec, &view->tgt, &allowance, notes, err);
	if (ret)
		return ret;
	ret = ub_budget_plan(spec, NULL, &view->tgt, &allowance, &view->plan, err);
	if (ret)
		return ret;
	ub_budget_predict_nodes(spec, &view->plan);
	ub_budget_limits(spec, &view->plan, &allowance, view->limits);
	view->fits = true;
	for (unsigned i = 0; i < UB_LIMIT_COUNT; i++)
		view->fits &= ub_limit_fits(&view->limits[i]);
	return 0;
}

int ub_dry_run_limits(struct ub_spec *spec, const struct ub_ctrl *ctrl,
		      struct ub_limit ret_limits[static UB_LIMIT_COUNT], struct ub_error *err)
{
	struct view view = {.spec = spec};
	struct ub_notes notes = {0};
	int ret = make(&view, ctrl, &notes, err);

	if (ret == 0)
		memcpy(ret_limits, view.limits, sizeof(view.limits));
	ub_plan_done(&view.plan);
	ub_tgt_close(&view.tgt);
	return ret;
}

/* A target that only a program of its own can reach is asked by that. */
static int ask_program(const struct ub_record *record, struct ub_notes *notes, struct ub_error *err)
{
	struct ub_record asked = *record;
	struct ub_launch *launch;
	uint32_t id;
	int ret;

	/* A server program that does not know of this would look for that device. */
	asked.id = UB_DEV_ID_MAX;
	asked.spec.foreground = asked.spec.restart = false;
	asked.spec.stay = true;
	ret = ub_launch(UB_LAUNCH_TRY, &asked, -1, -1, &launch, &id, notes, err);
	if (!ret)
		ub_launch_abort(launch);
	return ret;
}

enum ub_exit ub_dry_run(struct ub_call *call, struct ub_record *record)
{
	struct view view = {.spec = &record->spec};
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	struct ub_notes notes = {0};
	struct ub_error err = {0};
	int ret;

	(void)ub_ctrl_open(&ctrl, NULL);
	ret = make(&view, ctrl, &notes, &err);
	if (ret == 0 && record->spec.target->program)
		ret = ask_program(record, &notes, &err);
	if (ret == 0) {
		ub_out_notes(&notes);
		ret = print(call, &view);
		if (ret < 0)
			(void)ub_fail(&err, UB_STAGE_OUTPUT, ret, "cannot print the plan");
	}
	for (unsigned i = 0; i < UB_LAYERS_MAX; i++)
		free(view.layers[i]);
	ub_plan_done(&view.plan);
	ub_tgt_close(&view.tgt);
	return ret < 0 ? ub_call_fail(call, &err) : UB_EXIT_DONE;
}
