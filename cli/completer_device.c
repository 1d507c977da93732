/* SPDX-License-Identifier: MIT */
/* Completers for devices. */
#include "offer.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "device/device.h"
#include "device/glance.h"
#include "kernel/node.h"
#include "kernel/sysfs.h"
#include "spec/check.h"

#define DESCRIPTION_SIZE 512

/* What stands in the record is input: a name that add refuses would be more than a word. */
static const char *name_of(const struct ub_glance *dev)
{
	const char *name = dev->record.name;

	return name && ub_spec_check_name(name, NULL) == 0 ? name : NULL;
}

/* @as: another word for the device, or NULL. */
static const char *describe(const struct ub_glance *dev, const char *as,
			    char buf[static DESCRIPTION_SIZE])
{
	const struct ub_record_glance *r = &dev->record;
	const char *target = r->target ? r->target : "", *backing = r->backing ? r->backing : "";
	const char *state = dev->known ? ub_state_name(dev->info.state) : "";
	char size[16];
	uint64_t sectors;

	/* Who may not ask the driver sees no more than everybody. */
	if (!dev->known && ub_sysfs_u64(&sectors, "/sys/block/ublkb%u/size", dev->id) == 0)
		state = ub_format_size(sectors * 512, size, sizeof(size));
	(void)snprintf(buf, DESCRIPTION_SIZE, "%s%s%s%s%s%s%s", as ? as : "", as ? ": " : "", state,
		       *target ? ", " : "", target, *backing ? " " : "", backing);
	return buf;
}

/* By its number in any form, or by its name. */
static bool is_it(const struct ub_glance *dev, const char *word)
{
	uint32_t id;

	if (ub_parse_dev_id(word, &id) == 0)
		return id == dev->id;
	return dev->record.name && strcmp(dev->record.name, word) == 0;
}

/* Options of one device are values of -n, whatever table they stand in. */
static bool is_named(const struct ub_completing *c, const struct ub_glance *dev)
{
	for (size_t i = 0; i < c->typed->nr_operands; i++)
		if (is_it(dev, c->typed->operands[i]))
			return true;
	for (const struct ub_opt *opt = c->command->options; opt && opt->name; opt++) {
		const struct ub_arg *arg = ub_args_find(c->typed, opt);

		if (arg && arg->value && opt->completer &&
		    strcmp(opt->completer, "device-number") == 0 && is_it(dev, arg->value))
			return true;
	}
	return false;
}

static bool begins(const char *word, const char *with)
{
	return strncmp(word, with, strlen(with)) == 0;
}

/* In the form that was begun: "/dev/ublkb3", "ublkb3", or the number and the name. */
static void offer(const struct ub_completing *c, const struct ub_glance *dev)
{
	const char *name = name_of(dev), *node;
	char path[32], number[16], buf[DESCRIPTION_SIZE];

	node = strrchr(ub_dev_block_path(dev->id, path), '/') + 1;
	if (c->value[0] == '/') {
		ub_offer(c->file, path, describe(dev, name, buf));
		return;
	}
	if (c->value[0] && begins(node, c->value))
		ub_offer(c->file, node, describe(dev, name, buf));
	(void)snprintf(number, sizeof(number), "%u", dev->id);
	ub_offer(c->file, number, describe(dev, name, buf));
	if (name)
		ub_offer(c->file, name, describe(dev, node, buf));
}

static void offer_number(const struct ub_completing *c, const struct ub_glance *dev)
{
	char number[16], buf[DESCRIPTION_SIZE];

	(void)snprintf(number, sizeof(number), "%u", dev->id);
	ub_offer(c->file, number, describe(dev, name_of(dev), buf));
}

static void offer_each(const struct ub_completing *c,
		       void (*each)(const struct ub_completing *c, const struct ub_glance *dev))
{
	struct ub_glance *list;
	size_t count;

	if (ub_glance_list(&list, &count) != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct ub_glance *dev = &list[i];
		/* What state it is in can't be told: that is for the command to find out. */
		bool suits = !dev->known || !c->command->suits || c->command->suits(&dev->info);

		if (suits && !is_named(c, dev))
			each(c, dev);
	}
	ub_glance_list_free(list, count);
}

void ub_offer_devices(const struct ub_completing *c)
{
	offer_each(c, offer);
}

void ub_offer_device_numbers(const struct ub_completing *c)
{
	offer_each(c, offer_number);
}
