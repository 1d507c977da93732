/* SPDX-License-Identifier: MIT */
#include "device/placement.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
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

/* The node of the first of @cpus, or -1. */
static int32_t node_of(const char *cpus)
{
	char first[12];
	size_t len = strcspn(cpus, ",-");
	uint64_t cpu;
	int node;

	if (len == 0 || len >= sizeof(first))
		return -1;
	(void)snprintf(first, sizeof(first), "%.*s", (int)len, cpus);
	if (ub_parse_u64(first, UINT32_MAX, &cpu) != 0)
		return -1;
	node = ub_sysfs_cpu_node((unsigned)cpu);
	return node < 0 ? -1 : node;
}

/* As the server chooses it (server/queues.c). */
static int32_t memory_node_of(const struct ub_dev *dev, const struct ub_placement *p)
{
	int32_t node;

	if (!dev->managed)
		return -1;
	node = dev->record.spec.numa_node;
	if (node < 0)
		node = dev->record.spec.cpus && p->thread_count ? node_of(p->threads[0].cpus)
								: p->numa_node;
	return node >= 0 && ub_sysfs_node_has_memory(node) ? node : -1;
}

static void find_allowed(const char *path, struct ub_placed_thread *thread)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		if (sscanf(line, "Cpus_allowed_list: %255s", thread->cpus) == 1)
			return;
	}
}

static int by_tid(const void *a, const void *b)
{
	const struct ub_placed_thread *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int copy_thread(struct ub_placement *p, const struct ub_placed_thread *thread)
{
	struct ub_placed_thread *more =
		reallocarray(p->threads, p->thread_count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	p->threads = more;
	more[p->thread_count++] = *thread;
	return 0;
}

static int add_thread(struct ub_placement *p, int32_t tid, const char *status)
{
	struct ub_placed_thread thread = {.tid = tid};

	find_allowed(status, &thread);
	return copy_thread(p, &thread);
}

/* Which queue a thread of that name serves (queue/queue.c gives it). Return: false: none. */
static bool is_named_for(const char *comm, uint32_t dev, size_t *ret_queue)
{
	unsigned id, queue;

	if (sscanf(comm, "ublk%u-q%u", &id, &queue) != 2 || id != dev)
		return false;
	*ret_queue = queue;
	return true;
}

/* A thread that serves several queues has the first one's name. */
static int spread(struct ub_placement *list, size_t count, uint32_t share)
{
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++)
		if (i % share && list[i - i % share].thread_count)
			ret = copy_thread(&list[i], &list[i - i % share].threads[0]);
	return ret;
}

/* They are started in their order. */
static int find_threads(const struct ub_dev *dev, struct ub_placement *list, size_t count)
{
	char path[48], comm[32], status[64];
	struct dirent *entry;
	uint64_t tid;
	size_t queue;
	int ret = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", dev->server.pid);
	dir = dev->managed && dev->server.pid ? opendir(path) : NULL;
	while (dir && !ret && (entry = readdir(dir))) {
		if (ub_parse_u64(entry->d_name, INT32_MAX, &tid) != 0 ||
		    ub_sysfs_line(comm, sizeof(comm), "%s/%s/comm", path, entry->d_name) < 0 ||
		    !is_named_for(comm, dev->id, &queue) || queue >= count)
			continue;
		(void)snprintf(status, sizeof(status), "%s/%d/status", path, (int)tid);
		ret = add_thread(&list[queue], (int32_t)tid, status);
	}
	if (dir)
		(void)closedir(dir);
	for (size_t i = 0; i < count; i++)
		if (list[i].thread_count)
			qsort(list[i].threads, list[i].thread_count, sizeof(*list[i].threads),
			      by_tid);
	return ret || !dev->managed ? ret : spread(list, count, dev->record.memory.layout.share);
}

int ub_placement_find(const struct ub_dev *dev, struct ub_placement **ret_list, size_t *ret_count)
{
	size_t count = dev->info.nr_hw_queues;
	struct ub_placement *list = calloc(count + 1, sizeof(*list));
	int ret;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		list[i].id = (uint32_t)i;
		find_cpus(dev, &list[i]);
		list[i].numa_node = node_of(list[i].cpus);
	}
	ret = find_threads(dev, list, count);
	if (ret) {
		ub_placement_free(list, count);
		return ret;
	}
	for (size_t i = 0; i < count; i++)
		list[i].memory_node = memory_node_of(dev, &list[i]);
	*ret_list = list;
	*ret_count = count;
	return 0;
}

void ub_placement_free(struct ub_placement *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		free(list[i].threads);
	free(list);
}
