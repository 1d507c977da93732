/* SPDX-License-Identifier: MIT */
#include "memory/desc.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fault.h"
#include "memory/layout.h"

static size_t round_page(size_t bytes)
{
	return ub_round_page(bytes, (uint64_t)sysconf(_SC_PAGESIZE));
}

uint32_t ub_desc_size(const struct ublksrv_ctrl_dev_info *info)
{
	if (info->flags & UBLK_F_IO_DESC_SIZE)
		return info->io_desc_size;
	return sizeof(struct ublksrv_io_desc);
}

size_t ub_desc_map_size(const struct ublksrv_ctrl_dev_info *info)
{
	return round_page((size_t)info->queue_depth * ub_desc_size(info));
}

uint64_t ub_desc_map_offset(const struct ublksrv_ctrl_dev_info *info, unsigned queue)
{
	size_t stride = round_page((size_t)UBLK_MAX_QUEUE_DEPTH * ub_desc_size(info));

	return UBLKSRV_CMD_BUF_OFFSET + (uint64_t)queue * stride;
}

/* Of one queue, over what holds its place at @at. */
static int map_queue(int fd, const struct ublksrv_ctrl_dev_info *info, unsigned queue, void *at)
{
	int ret = ub_fault("map");

	if (!ret &&
	    mmap(at, ub_desc_map_size(info), PROT_READ, MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd,
		 (off_t)ub_desc_map_offset(info, queue)) == MAP_FAILED)
		ret = -errno;
	return ret;
}

int ub_desc_map(struct ub_desc_map *map, int fd, const struct ublksrv_ctrl_dev_info *info,
		unsigned queue, unsigned queues, struct ub_error *err)
{
	size_t size = ub_desc_map_size(info);
	char *base = MAP_FAILED;
	int ret = -EINVAL;

	if (queue + queues <= info->nr_hw_queues) {
		base = mmap(NULL, size * queues, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ret = base == MAP_FAILED ? -errno : 0;
	}
	for (unsigned i = 0; i < queues && !ret; i++)
		ret = map_queue(fd, info, queue + i, base + i * size);
	if (ret && base != MAP_FAILED)
		(void)munmap(base, size * queues);
	if (ret)
		return ub_fail(err, UB_STAGE_MAP, ret, "cannot map descriptors of queue %u", queue);
	map->base = base;
	map->stride = size;
	map->desc_size = ub_desc_size(info);
	map->depth = info->queue_depth;
	map->queues = queues;
	return 0;
}

void ub_desc_unmap(struct ub_desc_map *map)
{
	if (map->base)
		(void)munmap((void *)(uintptr_t)map->base, map->stride * map->queues);
	*map = (struct ub_desc_map){0};
}

const char *ub_desc_op_name(uint8_t op)
{
	static const char *const names[] = {
		[UBLK_IO_OP_READ] = "read",
		[UBLK_IO_OP_WRITE] = "write",
		[UBLK_IO_OP_FLUSH] = "flush",
		[UBLK_IO_OP_DISCARD] = "discard",
		[UBLK_IO_OP_WRITE_SAME] = "write-same",
		[UBLK_IO_OP_WRITE_ZEROES] = "write-zeroes",
		[UBLK_IO_OP_ZONE_OPEN] = "zone-open",
		[UBLK_IO_OP_ZONE_CLOSE] = "zone-close",
		[UBLK_IO_OP_ZONE_FINISH] = "zone-finish",
		[UBLK_IO_OP_ZONE_APPEND] = "zone-append",
		[UBLK_IO_OP_ZONE_RESET_ALL] = "zone-reset-all",
		[UBLK_IO_OP_ZONE_RESET] = "zone-reset",
		[UBLK_IO_OP_REPORT_ZONES] = "report-zones",
	};

	return op < UB_ARRAY_SIZE(names) ? names[op] : NULL;
}
