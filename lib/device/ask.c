/* SPDX-License-Identifier: MIT */
#include "device/ask.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clean.h"
#include "base/fault.h"
#include "process/helper.h"
#include "kernel/ctrl.h"

/* How long one device may keep its answer. */
#define ANSWER_MS 1000

/* What the helper process shares with this one. */
struct answers {
	_Atomic size_t count; /* of those that are there */
	struct ublk_params params[];
};

struct question {
	const struct ublksrv_ctrl_dev_info *infos;
	size_t first, count;
	struct answers *answers;
};

static int call_ask(const void *arg)
{
	const struct question *q = arg;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	int ret = ub_ctrl_open(&ctrl, NULL);

	if (ret)
		return ret;
	for (size_t i = q->first; i < q->count; i++) {
		if (ub_ctrl_get_params(ctrl, &q->infos[i], &q->answers->params[i]) != 0)
			q->answers->params[i].types = 0;
		atomic_store(&q->answers->count, i + 1);
	}
	return 0;
}

/* Runs a helper until it has asked for all, or hangs. Return: 0, -ETIMEDOUT, or an error. */
static int run_helper(const struct question *q)
{
	struct ub_helper helper;
	int ret = ub_helper_start(&helper, call_ask, q), result = 0;
	size_t before;

	if (ret)
		return ret;
	do {
		before = atomic_load(&q->answers->count);
		ret = ub_helper_wait(&helper, ANSWER_MS, &result);
	} while (ret == -ETIMEDOUT && atomic_load(&q->answers->count) != before);
	ub_helper_end(&helper);
	return ret ? ret : result;
}

/* Asks from @first on. Return: the first one after that which hung, or @count. */
static size_t ask_from(const struct ublksrv_ctrl_dev_info *infos, size_t first, size_t count,
		       struct ublk_params *ret_params)
{
	/* Not used again: a helper that was left behind may still write there. */
	size_t size = sizeof(struct answers) + count * sizeof(struct ublk_params), answered;
	struct question q = {
		.infos = infos,
		.first = first,
		.count = count,
		.answers = MAP_FAILED,
	};
	int ret = ub_fault("ask");

	if (!ret)
		q.answers =
			mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (q.answers == MAP_FAILED)
		return count;
	atomic_store(&q.answers->count, first);
	ret = run_helper(&q);
	answered = atomic_load(&q.answers->count);
	for (size_t i = first; i < answered; i++)
		ret_params[i] = q.answers->params[i];
	(void)munmap(q.answers, size);
	return ret == -ETIMEDOUT ? answered + 1 : count;
}

void ub_ask_params(const struct ublksrv_ctrl_dev_info *infos, size_t count,
		   struct ublk_params *ret_params)
{
	memset(ret_params, 0, count * sizeof(*ret_params));
	for (size_t next = 0; next < count;)
		next = ask_from(infos, next, count, ret_params);
}
