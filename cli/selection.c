/* SPDX-License-Identifier: MIT */
#include "selection.h"

#include <errno.h>
#include <string.h>

#include "device_fields.h"

const char *const ub_state_names[] = {"live", "quiesced", "failed", "dead", NULL};

static bool is_selected(const struct ub_selection *s, const struct ub_dev *dev)
{
	const char *state = ub_dev_state_name(dev);
	bool right = !s->states;

	for (unsigned i = 0; ub_state_names[i] && !right; i++)
		right = s->states >> i & 1 && strcmp(ub_state_names[i], state) == 0;
	return right && (!s->managed || dev->managed) &&
	       (!s->target || (dev->managed && dev->record.spec.target == s->target));
}

/* Those that are selected come first, in their order. */
static void part(const struct ub_selection *s, struct ub_selected *all)
{
	for (size_t i = 0; i < all->total; i++) {
		struct ub_dev dev = all->list[i];

		if (!is_selected(s, &dev))
			continue;
		memmove(&all->list[all->count + 1], &all->list[all->count],
			(i - all->count) * sizeof(dev));
		all->list[all->count++] = dev;
	}
}

int ub_selection_read(const struct ub_selection *selection, struct ub_ctrl *ctrl,
		      struct ub_selected *ret_selected, struct ub_error *err)
{
	int ret;

	*ret_selected = (struct ub_selected){0};
	ret = ub_dev_list(ctrl, &ret_selected->list, &ret_selected->total, err);
	if (ret)
		return ret;
	part(selection, ret_selected);
	for (size_t i = 0; selection->measured && i < ret_selected->count; i++)
		ub_dev_measure(&ret_selected->list[i]);
	if (ub_sort(&selection->sort, ret_selected->list, ret_selected->count,
		    sizeof(*ret_selected->list)) == 0)
		return 0;
	ub_selected_done(ret_selected);
	return ub_fail(err, UB_STAGE_LOOKUP, -ENOMEM, "cannot sort the devices");
}

void ub_selected_done(struct ub_selected *selected)
{
	ub_dev_list_free(selected->list, selected->total);
	*selected = (struct ub_selected){0};
}
