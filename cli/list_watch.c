/* SPDX-License-Identifier: MIT */
#include "list_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "device/events.h"
#include "device_fields.h"
#include "interrupt.h"
#include "screen.h"

/* What was shown last. */
struct shown {
	struct ub_selected devices;
	char **texts; /* of those that were selected, as JSON; nothing that is measured is in them */
};

struct watch {
	struct ub_call *call;
	struct ub_ctrl *ctrl;
	const struct ub_selection *selection;
	const struct ub_columns *columns;
	struct ub_events *events;
	struct ub_interrupt interrupt;
	struct ub_screen screen;
	struct shown shown;
	struct ub_doc *gone; /* the lines of those that are */
	bool looks_again;    /* also without an event */
};

static void forget(struct shown *shown)
{
	for (size_t i = 0; shown->texts && i < shown->devices.count; i++)
		free(shown->texts[i]);
	free(shown->texts);
	ub_selected_done(&shown->devices);
	*shown = (struct shown){0};
}

static const struct ub_dev *find(const struct ub_selected *all, uint32_t id)
{
	for (size_t i = 0; i < all->total; i++)
		if (all->list[i].id == id)
			return &all->list[i];
	return NULL;
}

/* Return: what was shown of it, or NULL. */
static const char *find_text(const struct shown *shown, uint32_t id)
{
	for (size_t i = 0; i < shown->devices.count; i++)
		if (shown->devices.list[i].id == id)
			return shown->texts[i];
	return NULL;
}

static int make_texts(struct shown *shown)
{
	shown->texts = calloc(shown->devices.count + 1, sizeof(*shown->texts));
	if (!shown->texts)
		return -ENOMEM;
	for (size_t i = 0; i < shown->devices.count; i++) {
		struct ub_dev dev = shown->devices.list[i]; /* borrows what that one owns */

		dev.memory = (struct ub_footprint){0};
		shown->texts[i] = ub_doc_text(ub_device_fields, &dev);
		if (!shown->texts[i])
			return -ENOMEM;
	}
	return 0;
}

static void print_device(const struct watch *w, struct ub_dev *dev)
{
	ub_dev_measure(dev);
	ub_doc_add(w->call->out.doc, ub_device_fields, dev);
}

static int print_lines(struct watch *w, struct shown *now)
{
	const struct shown *before = &w->shown;
	int ret = make_texts(now);

	if (ret)
		return ret;
	for (size_t i = 0; i < before->devices.count; i++) {
		const struct ub_dev *dev = &before->devices.list[i];

		if (!find(&now->devices, dev->id))
			ub_doc_add(w->gone, ub_deleted_fields, dev);
	}
	for (size_t i = 0; i < now->devices.total; i++) {
		struct ub_dev *dev = &now->devices.list[i];
		const char *text = find_text(before, dev->id);
		bool same = i < now->devices.count && text && strcmp(text, now->texts[i]) == 0;

		if (!same && (text || i < now->devices.count))
			print_device(w, dev);
	}
	return 0;
}

static int print_table(struct watch *w, const struct ub_selected *devices)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int ret;

	if (!file)
		return -ENOMEM;
	ret = ub_table_print(file, w->columns, devices->list, devices->count,
			     sizeof(*devices->list), w->call->out.colour);
	if (fclose(file) != 0 && !ret)
		ret = -ENOMEM;
	if (ret)
		free(text);
	else
		ub_screen_show(&w->screen, text);
	return ret;
}

/* Looks, and shows what has changed. */
static int look(struct watch *w, struct ub_error *err)
{
	struct shown now = {0};
	int ret = ub_selection_read(w->selection, w->ctrl, &now.devices, err);

	if (ret)
		return ret;
	ret = ub_events_follow(w->events, now.devices.list, now.devices.total);
	w->looks_again = ret > 0;
	ub_interrupt_let(&w->interrupt, w->call->out.file);
	if (ret >= 0)
		ret = w->call->out.json ? print_lines(w, &now) : print_table(w, &now.devices);
	(void)ub_out_flush(&w->call->out);
	ub_interrupt_hold_again(&w->interrupt);
	forget(&w->shown);
	w->shown = now;
	return ret ? ub_fail(err, UB_STAGE_OUTPUT, ret, "cannot print the list") : 0;
}

/* Until it is time to look again. Return: 1; 0 if there is a signal; -EPIPE if nobody reads. */
static int wait_for_change(struct watch *w)
{
	struct pollfd fds[] = {
		{.fd = w->interrupt.fd, .events = POLLIN},
		{.fd = ub_events_fd(w->events), .events = POLLIN},
		{.fd = w->screen.signals, .events = POLLIN},
		{.fd = fileno(w->call->out.file)},
	};
	int pause = w->looks_again ? ub_events_pause(w->events) : -1, ret;

	do {
		ret = poll(fds, UB_ARRAY_SIZE(fds), pause);
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (ret < 0)
			continue;
		if (fds[0].revents)
			return 0;
		if (fds[3].revents)
			return -EPIPE;
		if (fds[2].revents)
			ub_screen_handle(&w->screen);
	} while (ret && !(fds[1].revents && ub_events_take(w->events)));
	return 1;
}

static int open_all(struct watch *w, struct ub_error *err)
{
	struct ub_out *out = &w->call->out;
	int ret = ub_events_open(&w->events, err);

	if (ret)
		return ret;
	ret = ub_out_begin(out, UB_DEVICES_SCHEMA, "devices");
	if (!ret && out->json) {
		w->gone = ub_doc_new_lines(UB_DELETED_DEVICE_SCHEMA, out->file);
		ret = w->gone ? 0 : -ENOMEM;
	}
	if (!ret)
		ret = ub_interrupt_open(&w->interrupt);
	if (!ret)
		ret = ub_screen_open(&w->screen, out->file);
	return ret ? ub_fail(err, UB_STAGE_NONE, ret, "cannot watch the devices") : 0;
}

/* Return: 0 when it is over, or a negative errno with a message. */
static int watch(struct watch *w, struct ub_error *err)
{
	int ret;

	do {
		ret = look(w, err);
		if (ret || !ub_out_flush(&w->call->out))
			return ret;
		ret = wait_for_change(w);
	} while (ret > 0);
	return ret ? ub_fail(err, UB_STAGE_OUTPUT, ret, "cannot write to standard output") : 0;
}

enum ub_exit ub_list_watch(struct ub_call *call, struct ub_ctrl *ctrl,
			   const struct ub_selection *selection, const struct ub_columns *columns)
{
	struct watch w = {
		.call = call,
		.ctrl = ctrl,
		.selection = selection,
		.columns = columns,
		.interrupt.fd = -1,
		.screen.signals = -1,
	};
	struct ub_error err = {0};
	enum ub_exit status = UB_EXIT_FAILED;
	int ret = open_all(&w, &err);

	if (!ret)
		ret = watch(&w, &err);
	ub_screen_close(&w.screen);
	if (ret)
		status = ub_call_fail(call, &err);
	forget(&w.shown);
	ub_doc_free(w.gone);
	ub_events_freep(&w.events);
	ub_interrupt_close(&w.interrupt);
	return status;
}
