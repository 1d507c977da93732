/* SPDX-License-Identifier: MIT */
/* Completers for CPUs and NUMA nodes. */
#include "offer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/parse.h"
#include "kernel/sysfs.h"
#include "spec/spec.h"

#define LIST_SIZE 4096 /* of a list of CPUs as text: a page of sysfs */
#define NODES "/sys/devices/system/node"

/* Return: how many, or a negative errno. */
static int read_list(unsigned list[static UB_CPUS_MAX], const char *path)
{
	char text[LIST_SIZE];
	int ret = ub_sysfs_line(text, sizeof(text), "%s", path);

	return ret < 0 ? ret : ub_parse_cpus(text, UB_CPUS_MAX - 1, list, UB_CPUS_MAX);
}

struct cpus {
	unsigned list[UB_CPUS_MAX];
	bool chosen[UB_CPUS_MAX];
	int16_t node[UB_CPUS_MAX]; /* -1: not known */
};

static void find_nodes(struct cpus *cpus)
{
	unsigned nodes[UB_CPUS_MAX];
	int count = read_list(nodes, NODES "/online");
	char path[64];

	memset(cpus->node, -1, sizeof(cpus->node));
	for (int n = 0; n < count; n++) {
		int found;

		(void)snprintf(path, sizeof(path), NODES "/node%u/cpulist", nodes[n]);
		found = read_list(cpus->list, path);
		for (int i = 0; i < found; i++)
			cpus->node[cpus->list[i]] = (int16_t)nodes[n];
	}
}

/* Those before the one that is being typed; of a list that can't be read, none. */
static void find_chosen(struct cpus *cpus, const struct ub_completing *c)
{
	_cleanup_free_ char *before = c->begun ? strndup(c->value, c->begun - 1) : NULL;
	int count = before ? ub_parse_cpus(before, UB_CPUS_MAX - 1, cpus->list, UB_CPUS_MAX) : 0;

	for (int i = 0; i < count; i++)
		cpus->chosen[cpus->list[i]] = true;
}

void ub_offer_cpus(const struct ub_completing *c)
{
	_cleanup_free_ struct cpus *cpus = calloc(1, sizeof(*cpus));
	char word[16], node[32];
	int count;

	if (!cpus)
		return;
	find_nodes(cpus);
	find_chosen(cpus, c);
	count = read_list(cpus->list, "/sys/devices/system/cpu/online");
	for (int i = 0; i < count; i++) {
		unsigned cpu = cpus->list[i];

		if (cpus->chosen[cpu])
			continue;
		(void)snprintf(word, sizeof(word), "%u", cpu);
		(void)snprintf(node, sizeof(node), "node %d", cpus->node[cpu]);
		ub_offer(c->file, word, cpus->node[cpu] < 0 ? "" : node);
	}
}

void ub_offer_nodes(const struct ub_completing *c)
{
	unsigned nodes[UB_CPUS_MAX];
	int count = read_list(nodes, NODES "/has_memory");
	char word[16], list[LIST_SIZE], cpus[LIST_SIZE + 8];

	for (int i = 0; i < count; i++) {
		(void)snprintf(word, sizeof(word), "%u", nodes[i]);
		if (ub_sysfs_line(list, sizeof(list), NODES "/node%u/cpulist", nodes[i]) > 0)
			(void)snprintf(cpus, sizeof(cpus), "CPUs %s", list);
		else
			(void)snprintf(cpus, sizeof(cpus), "memory alone");
		ub_offer(c->file, word, cpus);
	}
}
