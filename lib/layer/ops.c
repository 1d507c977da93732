/* SPDX-License-Identifier: MIT */
#include "layer/ops.h"

#include <errno.h>
#include <string.h>

#include "base/clean.h"

static const struct {
	const char *name;
	uint32_t mask;
} words[] = {
	{"read", 1U << UBLK_IO_OP_READ},           {"write", 1U << UBLK_IO_OP_WRITE},
	{"flush", 1U << UBLK_IO_OP_FLUSH},         {"discard", 1U << UBLK_IO_OP_DISCARD},
	{"zeroes", 1U << UBLK_IO_OP_WRITE_ZEROES},
};

static uint32_t mask_of(const char *word, size_t len)
{
	for (size_t i = 0; i < UB_ARRAY_SIZE(words); i++)
		if (strlen(words[i].name) == len && strncmp(words[i].name, word, len) == 0)
			return words[i].mask;
	return 0;
}

int ub_layer_ops(const char *layer, const char *text, uint32_t *ret_mask, struct ub_error *err)
{
	uint32_t mask = 0;
	size_t len;

	for (const char *word = text; word; word = word[len] ? word + len + 1 : NULL) {
		uint32_t one;

		len = strcspn(word, "+");
		one = mask_of(word, len);
		if (!one)
			return ub_fail_usage(err,
					     "layer %s: ops takes read, write, flush, discard and "
					     "zeroes, with + between; not %s",
					     layer, text);
		mask |= one;
	}
	*ret_mask = text ? mask : UB_LAYER_OPS_ALL;
	return 0;
}
