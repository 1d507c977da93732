/* SPDX-License-Identifier: MIT */
#include "device/ask.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clean.h"
#include "base/fault.h"
#include "process/helper.h"

/* How long one device may keep its answer. */
#define ANSWER_MS 1000

/* What the helper process shares with this one. */
struct answers {
	_Atomic size_t count; /* of those that are there */
	_Atomic bool can_ask; /* the driver answers at all */
	max_align_t list[];
};

struct question {
	/* Asks about the one at @index, and fills in its answer, of @size bytes. */
	void (*ask)(struct ub_ctrl *ctrl, const void *of, size_t index, void *answer);
	const void *of;
	size_t first, count, size;
	struct answers *answers;
};

static void *answer_at(const struct question *q, size_t index)
{
	return (unsigned char *)q->answers->list + index * q->size;
}

static int call_ask(const void *arg)
{
	const struct question *q = arg;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	int ret = ub_ctrl_open(&ctrl, NULL);

	if (ret)
		return ret;
	atomic_store(&q->answers->can_ask, true);
	for (size_t i = q->first; i < q->count; i++) {
		q->ask(ctrl, q->of, i, answer_at(q, i));
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

/* Asks from q->first on, and takes the answers. Return: the first one after that which hung, or
 * q->count. */
static size_t ask_from(struct question *q, void *ret_answers)
{
	/* Not used again: a helper that was left behind may still write there. */
	size_t size = sizeof(struct answers) + q->count * q->size, answered = q->first;
	int ret = ub_fault("ask");
	bool can_ask;

	q->answers = MAP_FAILED;
	if (!ret)
		q->answers =
			mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (q->answers == MAP_FAILED)
		return q->count;
	atomic_store(&q->answers->count, q->first);
	ret = run_helper(q);
	answered = atomic_load(&q->answers->count);
	can_ask = atomic_load(&q->answers->can_ask);
	memcpy((unsigned char *)ret_answers + q->first * q->size, answer_at(q, q->first),
	       (answered - q->first) * q->size);
	(void)munmap(q->answers, size);
	return ret == -ETIMEDOUT && can_ask ? answered + 1 : q->count;
}

static void ask_params(struct ub_ctrl *ctrl, const void *of, size_t index, void *answer)
{
	const struct ublksrv_ctrl_dev_info *infos = of;
	struct ublk_params *params = answer;

	if (ub_ctrl_get_params(ctrl, &infos[index], params) != 0)
		params->types = 0;
}

void ub_ask_params(const struct ublksrv_ctrl_dev_info *infos, size_t count,
		   struct ublk_params *ret_params)
{
	struct question q = {
		.ask = ask_params, .of = infos, .count = count, .size = sizeof(*ret_params)};

	memset(ret_params, 0, count * sizeof(*ret_params));
	while (q.first < count)
		q.first = ask_from(&q, ret_params);
}

static void ask_info(struct ub_ctrl *ctrl, const void *of, size_t index, void *answer)
{
	const uint32_t *ids = of;
	struct ub_asked_info *asked = answer;
	int ret = ub_ctrl_get_info(ctrl, ids[index], &asked->info);

	asked->answer = ret == 0 ? UB_ASKED_TOLD : UB_ASKED_REFUSED;
}

void ub_ask_infos(const uint32_t *ids, size_t count, struct ub_asked_info *ret_infos)
{
	struct question q = {
		.ask = ask_info, .of = ids, .count = count, .size = sizeof(*ret_infos)};

	memset(ret_infos, 0, count * sizeof(*ret_infos));
	if (count)
		(void)ask_from(&q, ret_infos);
}
