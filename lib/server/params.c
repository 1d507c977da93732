/* SPDX-License-Identifier: MIT */
#include "spec/data_path.h"
#include "server/server.h"

#define SECTOR_SHIFT 9

static uint8_t shift_of(uint32_t size)
{
	return (uint8_t)(31 - __builtin_clz(size));
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void server_fill_params(const struct server *s, struct ublk_params *params)
{
	const struct ub_spec *spec = &s->record.spec;
	const struct ub_tgt *t = &s->target;
	uint32_t block = t->logical_block_size;
	uint32_t physical = larger(spec->physical_block_size ? spec->physical_block_size
							     : t->physical_block_size,
				   block);
	uint32_t io_min = larger(spec->io_min ? spec->io_min : t->io_min, physical);
	uint32_t io_opt = larger(spec->io_opt ? spec->io_opt : t->io_opt, io_min);

	*params = (struct ublk_params){
		.types = UBLK_PARAM_TYPE_BASIC,
		.basic =
			{
				.logical_bs_shift = shift_of(block),
				.physical_bs_shift = shift_of(physical),
				.io_min_shift = shift_of(io_min),
				.io_opt_shift = shift_of(io_opt),
				.max_sectors = s->info->max_io_buf_bytes >> SECTOR_SHIFT,
				.dev_sectors = t->size >> SECTOR_SHIFT,
			},
	};
	if (t->read_only)
		params->basic.attrs |= UBLK_ATTR_READ_ONLY;
	if (t->rotational || spec->rotational)
		params->basic.attrs |= UBLK_ATTR_ROTATIONAL;
	/* Without a volatile cache the kernel sends no flush, and FUA means nothing to it. */
	if (t->volatile_cache)
		params->basic.attrs |= UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
	/* The client's own pages go to the backing: they have to lie as that wants them. */
	if (ub_path_granted(s->info->flags) == UB_PATH_ZERO_COPY && t->memory_align > 1) {
		params->types |= UBLK_PARAM_TYPE_DMA_ALIGN;
		params->dma.alignment = t->memory_align - 1;
	}
	if (t->discard_granularity || t->write_zeroes) {
		params->types |= UBLK_PARAM_TYPE_DISCARD;
		params->discard.discard_granularity = larger(t->discard_granularity, block);
		params->discard.max_discard_segments = 1;
	}
	if (t->discard_granularity)
		params->discard.max_discard_sectors = UB_DISCARD_MAX >> SECTOR_SHIFT;
	if (t->write_zeroes)
		params->discard.max_write_zeroes_sectors = UB_DISCARD_MAX >> SECTOR_SHIFT;
}
