/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "budget/budget.h"
#include "kernel/node.h"
#include "spec/data_path.h"
#include "device/device.h"
#include "device/same.h"
#include "device/steady.h"
#include "kernel/sysfs.h"
#include "stats/stats.h"
#include "server/server.h"

/* What the fetches have at the least: in a recovery there is no way back from them. */
#define FETCH_MS 5000
/* How often to ask whether whoever stops it is through with that. */
#define STEADY_RETRY_MS 10

/*
 * On a machine with one node there is nothing to choose. A recovery goes on where the node that was
 * asked for has gone: requests wait for it.
 * Return: the node, or -1: the kernel chooses, and takes the nearest that has memory.
 */
static int choose_node(struct server *s, const cpu_set_t *cpus, size_t size)
{
	int asked = s->record.spec.numa_node, node;

	if (asked >= 0 && (!s->recovers || ub_sysfs_node_has_memory(asked)))
		return asked;
	if (asked >= 0)
		ub_note_once(&s->record.notes,
			     "the node of --numa-node has no memory now: it comes from others");
	node = cpus && s->has_nodes ? ub_sysfs_cpus_node(cpus, size) : -1;
	return node >= 0 && ub_sysfs_node_has_memory(node) ? node : -1;
}

static int bind_memory(struct server *s, unsigned stretch, int node, struct ub_error *err)
{
	int ret = node < 0 ? 0 : ub_space_bind(&s->space, stretch, (unsigned)node);

	return ret ? ub_fail(err, UB_STAGE_MEMORY, ret,
			     "cannot take the memory of queue %u from node %d",
			     ub_layout_queue(&s->space.layout, stretch), node)
		   : 0;
}

static const struct ub_path *const paths[] = {
	[UB_PATH_COPY] = &ub_path_copy,
	[UB_PATH_USER_COPY] = &ub_path_user_copy,
	[UB_PATH_GET_DATA] = &ub_path_get_data,
	[UB_PATH_ZERO_COPY] = &ub_path_zero_copy,
};

static int touch_huge(struct server *s, unsigned stretch, struct ub_error *err)
{
	int ret = ub_space_touch_huge(&s->space, stretch);

	return ret ? ub_fail(err, UB_STAGE_MEMORY, ret, "cannot take the huge pages of queue %u",
			     ub_layout_queue(&s->space.layout, stretch))
		   : 0;
}

/* One thread's, with all that belongs to it. */
static int make_queue(struct server *s, unsigned stretch, cpu_set_t *cpus, struct ub_error *err)
{
	struct ub_queue_config config = {
		.stretch = stretch,
		.poll_us = s->record.spec.poll_us,
		.stall_s = s->record.spec.stall_s,
		.info = s->info,
		.target = &s->target,
		.path = paths[ub_path_granted(s->info->flags)],
		.keep = s->record.spec.mlock || s->record.spec.huge_pages,
		.buffer_cap = ub_budget_buffers(&s->record.spec, s->info),
		.space = &s->space,
		.ticks = &s->ticks,
		.event_fd = s->event_fd,
	};
	size_t size = CPU_ALLOC_SIZE(UB_CPUS_MAX);
	int ret, node;

	if (!server_find_cpus(s, &s->record.spec, s->recovers, stretch, cpus, size))
		cpus = NULL;
	node = choose_node(s, cpus, size);
	/* Before the queue touches its memory. */
	ret = bind_memory(s, stretch, node, err);
	if (!ret)
		ret = touch_huge(s, stretch, err);
	if (node >= 0)
		ub_memory_prefer(node);
	if (!ret)
		ret = ub_queue_new(&s->queues[stretch], &config, err);
	if (node >= 0)
		ub_memory_prefer(-1);
	if (ret)
		return ret;
	s->nr_queues++;
	return ub_queue_spawn(s->queues[stretch], cpus, size, s->record.spec.cpus, err);
}

/* Everything that is there: also the program, whose text alone can bring a server to a halt that
 * the machine swaps to. What a thread's stack or the heap takes later is locked as it comes. */
static int lock_memory(struct ub_error *err)
{
	int ret = ub_fault("mlock");

	if (!ret && mlockall(MCL_CURRENT) != 0)
		ret = -errno;
	return ret ? ub_fail(err, UB_STAGE_MEMORY, ret, "cannot lock the server's memory") : 0;
}

int server_make_queues(struct server *s, struct ub_error *err)
{
	cpu_set_t *cpus = CPU_ALLOC(UB_CPUS_MAX);
	struct ub_plan plan = {0};
	int ret = server_plan(s, s->info, &plan, err);

	if (ret) {
		CPU_FREE(cpus);
		return ret;
	}
	s->queues = calloc(ub_layout_stretches(&plan.layout), sizeof(*s->queues));
	if (!s->queues || !cpus ||
	    server_make_watches(s, (unsigned)ub_layout_stretches(&plan.layout)) != 0)
		ret = ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot allocate the queues");
	if (!ret)
		ret = ub_space_init(&s->space, &plan.layout, err);
	s->has_nodes = ub_sysfs_has_nodes();
	ub_ticks_settle(&s->ticks, UB_STATS_UNIT_NS);
	for (unsigned i = 0; !ret && i < ub_layout_stretches(&plan.layout); i++)
		ret = make_queue(s, i, cpus, err);
	for (unsigned kind = 0; kind < UB_REGION_COUNT; kind++)
		s->record.memory.plan[kind] = ub_plan_of(&plan, kind);
	s->record.memory.planned = true;
	ub_plan_done(&plan);
	CPU_FREE(cpus);
	if (!ret && s->record.spec.mlock)
		ret = lock_memory(err);
	return ret;
}

int server_open_char(struct server *s, struct ub_error *err)
{
	struct ublksrv_ctrl_dev_info now;
	struct ublk_params params;
	char path[32];
	int ret = ub_fault("char");

	(void)ub_dev_char_path(s->info->dev_id, path);
	if (!ret)
		ret = ub_same_info(s->ctrl, s->info, &now);
	if (!ret)
		ret = ub_ctrl_get_params(s->ctrl, s->info, &params);
	if (!ret) {
		s->char_fd = ub_node_open(AT_FDCWD, path, S_IFCHR,
					  makedev(params.devt.char_major, params.devt.char_minor),
					  O_RDWR | O_CLOEXEC);
		ret = s->char_fd < 0 ? s->char_fd : 0;
	}
	/* Asked before so as not to be in another device's way, and again since nobody else can get the
	 * number from now on. */
	if (!ret)
		ret = ub_same_info(s->ctrl, s->info, &now);
	if (ret)
		ub_close(&s->char_fd);
	if (ret == -ENOTBLK || ret == -ESTALE)
		return ub_fail_text(err, UB_STAGE_CHAR, ret,
				    "cannot use %s: that is not the device's node, and was there "
				    "before",
				    path);
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

/* Return: 1 when all are, 0 when some are not yet, or the error of one that ended. */
static int have_fetched(struct server *s)
{
	struct ub_queue_status status;
	unsigned fetched = 0;

	for (unsigned i = 0; i < s->nr_queues; i++) {
		ub_queue_get_status(s->queues[i], &status);
		if (status.ended)
			return status.error ? status.error : -ECANCELED;
		fetched += status.fetched;
	}
	return fetched == s->nr_queues;
}

/*
 * The driver could be told to start or recover the device first: it waits for the fetches. But it
 * waits in a worker of io_uring, and a process that is killed just then, with fetches missing,
 * can't end: io_wq_put_and_exit() waits for the worker, which has taken its signal already.
 * An interruption has to wait: Linux 6.12 complains of a process that ends half-fetched
 * (ublk_uring_cmd_cancel_fn()).
 */
int server_fetch(struct server *s, struct ub_error *err)
{
	int64_t least = ub_now_ms() + FETCH_MS;
	int64_t deadline = s->deadline > least ? s->deadline : least;
	int ret;

	s->fetching = true;
	for (unsigned i = 0; i < s->nr_queues; i++)
		ub_queue_go(s->queues[i]);
	while ((ret = have_fetched(s)) == 0) {
		if (ub_left_ms(deadline) == 0) {
			ret = -ETIMEDOUT;
			break;
		}
		server_wait(s, ub_left_ms(deadline));
	}
	if (ret < 0)
		return ub_fail(err, UB_STAGE_START, ret, "cannot fetch requests of ublkb%u",
			       s->record.id);
	return 0;
}

int server_hold_steady(struct server *s)
{
	int64_t until = ub_now_ms() + UB_STEADY_MS;
	int hold;

	while ((hold = ub_steady_try(s->record.id)) == -EAGAIN && ub_left_ms(until) > 0)
		server_wait(s, STEADY_RETRY_MS);
	return hold;
}

void server_join_queues(struct server *s)
{
	while (s->fetching && !s->queues_ended)
		server_wait(s, -1);
}

void server_free_queues(struct server *s)
{
	for (unsigned i = s->nr_queues; i-- > 0;)
		ub_queue_free(s->queues[i]);
	/* After the rings, which have it, too: whoever serves the device next waits for no more. */
	ub_close(&s->char_fd);
	for (unsigned i = s->nr_queues; i-- > 0;)
		ub_layers_done(s->queues[i]);
	free(s->queues);
	free(s->watches);
	s->watches = NULL;
	s->queues = NULL;
	ub_space_done(&s->space);
	s->nr_queues = 0;
	s->fetching = false;
}
