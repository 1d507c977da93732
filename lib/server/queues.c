/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "device/device.h"
#include "server/server.h"

static int make_queue(struct server *s, unsigned id, cpu_set_t *cpus, size_t cpus_size,
		      struct ub_error *err)
{
	struct ub_queue_config config = {
		.id = id,
		.info = s->info,
		.target = &s->target,
		.path = &ub_path_copy,
		.event_fd = s->event_fd,
	};
	int ret = ub_queue_new(&s->queues[id], &config, err);

	if (ret)
		return ret;
	s->nr_queues++;
	/* The CPUs whose I/O the kernel sends to this queue; all of them, never one by chance. */
	CPU_ZERO_S(cpus_size, cpus);
	if (ub_ctrl_get_affinity(s->ctrl, s->info, id, cpus, (uint16_t)cpus_size) != 0 ||
	    CPU_COUNT_S(cpus_size, cpus) == 0)
		cpus = NULL;
	return ub_queue_spawn(s->queues[id], cpus, cpus_size, err);
}

int server_make_queues(struct server *s, struct ub_error *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t *set = CPU_ALLOC((size_t)(cpus > 0 ? cpus : 1));
	size_t set_size = CPU_ALLOC_SIZE((size_t)(cpus > 0 ? cpus : 1));
	int ret = 0;

	s->queues = calloc(s->info->nr_hw_queues, sizeof(*s->queues));
	if (!s->queues || !set)
		ret = ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot allocate the queues");
	for (unsigned i = 0; !ret && i < s->info->nr_hw_queues; i++)
		ret = make_queue(s, i, set, set_size, err);
	CPU_FREE(set);
	return ret;
}

int server_open_char(struct server *s, struct ub_error *err)
{
	char path[32];
	int ret = ub_fault("char");

	(void)ub_dev_char_path(s->info->dev_id, path);
	if (!ret) {
		s->char_fd = open(path, O_RDWR | O_CLOEXEC);
		ret = s->char_fd < 0 ? -errno : 0;
	}
	if (ret)
		return ub_fail(err, UB_STAGE_CHAR, ret, "cannot open %s", path);
	for (unsigned i = 0; !ret && i < s->nr_queues; i++)
		ret = ub_queue_attach(s->queues[i], s->char_fd, err);
	return ret;
}

int server_map_queues(struct server *s, struct ub_error *err)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < s->nr_queues; i++)
		ret = ub_queue_map(s->queues[i], s->char_fd, err);
	return ret;
}

void server_fetch(struct server *s)
{
	s->fetching = true;
	for (unsigned i = 0; i < s->nr_queues; i++)
		ub_queue_go(s->queues[i]);
}

int server_join_queues(struct server *s, int timeout_ms)
{
	int64_t deadline = ub_now_ms() + timeout_ms;

	while (s->fetching && !s->queues_ended) {
		if (timeout_ms >= 0 && ub_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		server_wait(s, timeout_ms < 0 ? -1 : ub_left_ms(deadline));
	}
	return 0;
}

void server_free_queues(struct server *s)
{
	for (unsigned i = s->nr_queues; i-- > 0;)
		ub_queue_free(s->queues[i]);
	free(s->queues);
	s->queues = NULL;
	s->nr_queues = 0;
	s->fetching = false;
	ub_close(&s->char_fd);
}
