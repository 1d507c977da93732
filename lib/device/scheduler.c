/* SPDX-License-Identifier: MIT */
#include "device/scheduler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "kernel/sysfs.h"
#include "process/helper.h"

#define PATH "/sys/block/ublkb%u/queue/scheduler"
/* How long a reader waits for it, and a writer for another one (and how often he tries). */
#define ASK_MS 1000
#define BUSY_MS 2000
#define BUSY_EACH_US 10000

/* Out of "none [mq-deadline] bfq"; a disk that can have none says "none". */
static int read_name(uint32_t id, char buf[static UB_SCHEDULER_MAX + 1])
{
	char line[256], *begin, *end;
	int ret = ub_sysfs_line(line, sizeof(line), PATH, id);

	buf[0] = '\0';
	if (ret < 0)
		return ret;
	begin = strchr(line, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		*end = '\0';
	begin = end ? begin + 1 : line;
	if (strlen(begin) > UB_SCHEDULER_MAX)
		return -EINVAL;
	memcpy(buf, begin, strlen(begin) + 1);
	return 0;
}

static int write_name(uint32_t id, const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	int ret = ub_fault("scheduler");

	if (ret)
		return ret;
	(void)snprintf(path, sizeof(path), PATH, id);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, name, strlen(name)) < 0 ? -errno : 0;
}

int ub_scheduler_set(uint32_t id, const char *name, struct ub_error *err)
{
	int64_t deadline = ub_now_ms() + BUSY_MS;
	char now[UB_SCHEDULER_MAX + 1];
	int ret = read_name(id, now);

	if (ret == 0 && strcmp(now, name) == 0)
		return 0;
	/* From Linux 6.16 on the kernel does not wait for another change, as udev may make one. */
	while (!ret && (ret = write_name(id, name)) == -EBUSY && ub_left_ms(deadline) > 0) {
		(void)usleep(BUSY_EACH_US);
		ret = 0;
	}
	if (ret == 0)
		return 0;
	if (!now[0])
		return ub_fail(err, UB_STAGE_START, ret,
			       "cannot set the I/O scheduler of ublkb%u to %s", id, name);
	if (ret == -EINVAL)
		return ub_fail_text(err, UB_STAGE_START, ret,
				    "ublkb%u keeps the I/O scheduler %s: this kernel has no %s", id,
				    now, name);
	return ub_fail(err, UB_STAGE_START, ret,
		       "ublkb%u keeps the I/O scheduler %s: cannot set %s", id, now, name);
}

struct question {
	uint32_t id;
	char *answer; /* shared with the helper */
};

static int call_read(const void *arg)
{
	const struct question *q = arg;

	return read_name(q->id, q->answer);
}

int ub_scheduler_ask(uint32_t id, char buf[static UB_SCHEDULER_MAX + 1])
{
	char *answer = mmap(NULL, UB_SCHEDULER_MAX + 1, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct question question = {.id = id, .answer = answer};
	struct ub_helper helper;
	int ret, result = 0;

	buf[0] = '\0';
	if (answer == MAP_FAILED)
		return -errno;
	ret = ub_helper_start(&helper, call_read, &question);
	if (!ret) {
		ret = ub_helper_wait(&helper, ASK_MS, &result);
		ub_helper_end(&helper);
	}
	if (!ret)
		ret = result;
	if (!ret)
		memcpy(buf, answer, UB_SCHEDULER_MAX + 1);
	(void)munmap(answer, UB_SCHEDULER_MAX + 1);
	return ret;
}

struct wish {
	uint32_t id;
	const char *name;
};

static int call_set(const void *arg)
{
	const struct wish *wish = arg;

	return ub_scheduler_set(wish->id, wish->name, NULL);
}

int ub_scheduler_change(uint32_t id, const char *name, int timeout_ms)
{
	const struct wish wish = {.id = id, .name = name};
	struct ub_helper helper;
	int ret = ub_helper_start(&helper, call_set, &wish), result = 0;

	if (ret)
		return ret;
	ret = ub_helper_wait(&helper, timeout_ms, &result);
	ub_helper_end(&helper);
	return ret ? ret : result;
}
