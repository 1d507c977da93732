/* SPDX-License-Identifier: MIT */
/*
 * One queue's I/O descriptors: an array that the kernel writes and the server maps, read-only. Owns
 * the mapping. Knows the kernel's layout and nothing of queues or devices' lives.
 *
 * The mapping starts at UBLKSRV_CMD_BUF_OFFSET + q * stride, where stride is room for the deepest
 * possible queue, and is exactly as long as the granted depth needs (ublk_ch_mmap() answers EINVAL
 * to any other length, and EPERM to a writable one).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/uapi.h"

struct ub_desc_map {
	const char *base;
	size_t size;        /* bytes mapped */
	uint32_t desc_size; /* bytes from one descriptor to the next */
	uint32_t depth;
};

/* The size of one descriptor on this device: 24 bytes, or what UBLK_F_IO_DESC_SIZE granted. */
uint32_t ub_desc_size(const struct ublksrv_ctrl_dev_info *info);

/* Bytes that a queue's mapping has, and the file offset where it begins. */
size_t ub_desc_map_size(const struct ublksrv_ctrl_dev_info *info);
uint64_t ub_desc_map_offset(const struct ublksrv_ctrl_dev_info *info, unsigned queue);

/*
 * Maps queue @queue of the open char device @fd. @info holds what the kernel granted.
 * Return: 0, -EINVAL (no such queue), or mmap's errno.
 */
int ub_desc_map(struct ub_desc_map *map, int fd, const struct ublksrv_ctrl_dev_info *info,
		unsigned queue, struct ub_error *err);
void ub_desc_unmap(struct ub_desc_map *map);

/*
 * Reads descriptor @tag, once, into @ret_desc: the kernel may write it again as soon as the I/O is
 * committed, and what was checked has to be what is used.
 * Return: false when @tag is out of range.
 */
static inline bool ub_desc_get(const struct ub_desc_map *map, unsigned tag,
			       struct ublksrv_io_desc *ret_desc)
{
	const volatile struct ublksrv_io_desc *desc;

	if (__builtin_expect(tag >= map->depth, 0))
		return false;
	desc = (const volatile struct ublksrv_io_desc
			*)(const volatile void *)(map->base + (size_t)tag * map->desc_size);
	ret_desc->op_flags = desc->op_flags;
	ret_desc->nr_sectors = desc->nr_sectors;
	ret_desc->start_sector = desc->start_sector;
	ret_desc->addr = desc->addr;
	return true;
}

static inline uint8_t ub_desc_op(const struct ublksrv_io_desc *desc)
{
	return desc->op_flags & 0xff;
}

/* UBLK_IO_F_* as they stand in the whole word. */
static inline uint32_t ub_desc_flags(const struct ublksrv_io_desc *desc)
{
	return desc->op_flags & ~0xffU;
}

/* "read", "write", ... or NULL for an operation that is not known. */
const char *ub_desc_op_name(uint8_t op);
