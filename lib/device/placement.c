/* SPDX-License-Identifier: MIT */
#include "device/placement.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "kernel/sysfs.h"

/* The driver writes "0, 1, 2": without the blanks it is the kernel's usual list. */
static void find_cpus(const struct ub_dev *dev, struct ub_placement *p)
{
	char *out = p->cpus;

	if (ub_sysfs_line(p->cpus, sizeof(p->cpus), "/sys/block/ublkb%u/mq/%u/cpu_list", dev->id,
			  p->id) < 0)
		return;
	for (const char *in = p->cpus; *in; in++)
		if (*in != ' ')
			*out++ = *in;
	*out = '\0';
}

static void find_node(struct ub_placement *p)
{
	char first[12];
	size_t len = strcspn(p->cpus, ",-");
	uint64_t cpu;

	p->numa_node = -1;
	if (len == 0 || len >= sizeof(first))
		return;
	(void)snprintf(first, sizeof(first), "%.*s", (int)len, p->cpus);
	if (ub_parse_u64(first, UINT32_MAX, &cpu) != 0)
		return;
	p->numa_node = ub_sysfs_cpu_node((unsigned)cpu);
	if (p->numa_node < 0)
		p->numa_node = -1;
}

/* A server of ours names its threads after their queues. */
static void find_threads(const struct ub_dev *dev, struct ub_placement *list, size_t count)
{
	char path[48], comm[32], want[32];
	struct dirent *entry;
	uint64_t tid;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", dev->pid);
	dir = dev->managed && dev->server_alive ? opendir(path) : NULL;
	while (dir && (entry = readdir(dir))) {
		if (ub_parse_u64(entry->d_name, INT32_MAX, &tid) != 0 ||
		    ub_sysfs_line(comm, sizeof(comm), "%s/%s/comm", path, entry->d_name) < 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			(void)snprintf(want, sizeof(want), "ublk%u-q%zu", dev->id, i);
			if (strcmp(comm, want) == 0)
				list[i].tid = (int32_t)tid;
		}
	}
	if (dir)
		(void)closedir(dir);
}

int ub_placement_find(const struct ub_dev *dev, struct ub_placement **ret_list, size_t *ret_count)
{
	size_t count = dev->info.nr_hw_queues;
	struct ub_placement *list = calloc(count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		list[i].id = (uint32_t)i;
		find_cpus(dev, &list[i]);
		find_node(&list[i]);
		list[i].memory_node = -1;
		if (dev->managed)
			list[i].memory_node = dev->record.spec.numa_node >= 0
						      ? dev->record.spec.numa_node
						      : list[i].numa_node;
	}
	find_threads(dev, list, count);
	*ret_list = list;
	*ret_count = count;
	return 0;
}
