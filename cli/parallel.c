/* SPDX-License-Identifier: MIT */
#include "parallel.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clean.h"
#include "kernel/ctrl.h"

/* Of a device's users; more are not told. */
#define USERS_MAX 128

struct ub_parallel_answer {
	struct ub_work_result result; /* its list of users is the process's own */
	struct ub_user users[USERS_MAX];
};

struct task {
	ub_work work;
	const void *args;
	struct ub_dev *dev;
	struct ub_parallel_answer *answer;
};

static int call_work(const void *arg)
{
	const struct task *task = arg;
	struct ub_work_result *result = &task->answer->result;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;

	result->code = ub_ctrl_open(&ctrl, &result->err);
	if (result->code)
		return 0;
	task->work(task->args, ctrl, task->dev, result);
	if (result->users.count > USERS_MAX)
		result->users.count = USERS_MAX;
	for (size_t i = 0; i < result->users.count; i++)
		task->answer->users[i] = result->users.list[i];
	return 0;
}

int ub_parallel_begin(struct ub_parallel *p, ub_work work, const void *args, struct ub_dev *dev)
{
	struct task task = {.work = work, .args = args, .dev = dev};
	int ret;

	p->answer = mmap(NULL, sizeof(*p->answer), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->answer == MAP_FAILED)
		return -errno;
	task.answer = p->answer;
	ret = ub_helper_start(&p->helper, call_work, &task);
	if (ret)
		(void)munmap(p->answer, sizeof(*p->answer));
	return ret;
}

void ub_parallel_end(struct ub_parallel *p, struct ub_work_result *ret_result)
{
	struct ub_users *users = &ret_result->users;
	int result = 0;
	/* It keeps to a deadline of its own. */
	int ret = ub_helper_wait(&p->helper, INT_MAX, &result);

	ub_helper_end(&p->helper);
	*ret_result = p->answer->result;
	users->list = ret || result ? NULL : calloc(users->count + 1, sizeof(*users->list));
	if (!users->list)
		users->count = 0;
	for (size_t i = 0; i < users->count; i++)
		users->list[i] = p->answer->users[i];
	if (ret || result)
		ret_result->code = ub_fail(&ret_result->err, UB_STAGE_CONTROL, ret ? ret : result,
					   "a process of this command has failed");
	(void)munmap(p->answer, sizeof(*p->answer));
}
