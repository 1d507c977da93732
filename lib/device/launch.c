/* SPDX-License-Identifier: MIT */
#include "device/launch.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "device/handover.h"
#include "device/links.h"
#include "device/restart.h"
#include "device/same.h"
#include "device/steady.h"
#include "device/spawn.h"
#include "process/inherit.h"
#include "process/process.h"
#include "kernel/ctrl.h"
#include "process/helper.h"
#include "process/program.h"
#include "record/json.h"
#include "record/store.h"

/* How long a server may take to undo its work before it is killed and its device removed. */
#define UNDO_MS 10000
#define GRACE_MS 2000
#define LET_GO_MS 2000
/* How long udev may take to link a device that serves. */
#define LINK_MS 10000

struct ub_launch {
	enum ub_launch_mode mode;
	bool foreground; /* the server is this process's parent */
	bool restart;    /* it is to get another server when this one dies */
	bool undone;     /* ... and has said that nothing is left */
	struct ub_spawn server;
	struct ub_handover *handover;
	size_t handover_size;
};

/* However small the files that this process may make: its limit is lifted as far as that goes, for the
 * moment, since what it starts besides servers is to have it. Return: a descriptor or a negative errno. */
static int make_memory_file(size_t size)
{
	_cleanup_close_ int fd = memfd_create("ublk-handover", MFD_CLOEXEC);
	struct rlimit limit;
	bool known = getrlimit(RLIMIT_FSIZE, &limit) == 0;
	int ret = fd < 0 ? -errno : 0;

	(void)ub_inherit_no_limit(RLIMIT_FSIZE);
	if (!ret && ftruncate(fd, (off_t)size) != 0)
		ret = -errno;
	if (known)
		(void)setrlimit(RLIMIT_FSIZE, &limit);
	return ret ? ret : UB_TAKE_FD(fd);
}

static int make_handover(enum ub_launch_mode mode, const struct ub_record *record, int *ret_fd,
			 struct ub_handover **ret_map, size_t *ret_size, struct ub_error *err)
{
	_cleanup_free_ char *text = ub_record_to_json(record, true);
	struct ub_handover *map = MAP_FAILED;
	_cleanup_close_ int fd = -1;
	size_t len, size;
	int ret = ub_fault("launch");

	if (!text)
		return ub_fail(err, UB_STAGE_SPAWN, -ENOMEM, "cannot start a server");
	len = strlen(text);
	size = sizeof(*map) + len;
	fd = make_memory_file(size);
	if (fd < 0)
		return ub_fail(err, UB_STAGE_SPAWN, fd, "cannot make a memory file");
	if (!ret) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ret = map == MAP_FAILED ? -errno : 0;
	}
	if (ret)
		return ub_fail(err, UB_STAGE_SPAWN, ret, "cannot map a memory file");
	map->magic = UB_HANDOVER_MAGIC;
	map->format = UB_HANDOVER_FORMAT;
	map->mode = mode;
	map->text_len = (uint32_t)len;
	map->bound = record->spec.bound;
	map->caller_fd = record->spec.caller_fd;
	memcpy(map->text, text, len);
	*ret_fd = UB_TAKE_FD(fd);
	*ret_map = map;
	*ret_size = size;
	return 0;
}

static void free_launch(struct ub_launch *launch)
{
	ub_close(&launch->server.channel);
	ub_close(&launch->server.pidfd);
	if (launch->handover)
		(void)munmap(launch->handover, launch->handover_size);
	free(launch);
}

static void free_launchp(struct ub_launch **launch)
{
	if (*launch)
		free_launch(*launch);
}

static bool stays(const struct ub_launch *launch)
{
	return atomic_load(&launch->handover->stays);
}

/* Waits for the server to be gone; kills it when the time is over, unless it stays. Return: false if it
 * is still there: its backing hangs in the kernel. */
static bool wait_gone(struct ub_launch *launch)
{
	int ret;

	if (ub_process_wait(launch->server.pidfd, UNDO_MS) != 0 && stays(launch))
		return false;
	ret = ub_process_end(launch->server.pid, launch->server.pidfd, 0, UNDO_MS);
	/* In the foreground it is no child. */
	return ret == -ECHILD ? ub_process_wait(launch->server.pidfd, 0) == 0 : ret != -ETIMEDOUT;
}

/* In a helper: the driver lets go of a dead server's requests when its backing has. */
static int call_remove(const void *arg)
{
	const struct ublksrv_ctrl_dev_info *info = arg;
	_cleanup_(ub_ctrl_closep)
	struct ub_ctrl *ctrl = NULL;
	int ret = ub_ctrl_open(&ctrl, NULL);

	if (ret)
		return ret;
	(void)ub_steady_stop(ctrl, info, UBLK_U_CMD_STOP_DEV);
	return ub_same_command(ctrl, info, UBLK_U_CMD_DEL_DEV, 0, UB_CTRL_NO_TIMEOUT);
}

/* The server is gone: if it left a device that it had added, remove it. */
static void remove_left_device(struct ub_launch *launch)
{
	const struct ublksrv_ctrl_dev_info *info = &launch->handover->info;
	struct ub_helper helper;
	int result;

	if (!(info->flags & UBLK_F_CMD_IOCTL_ENCODE) ||
	    ub_helper_start(&helper, call_remove, info) != 0)
		return;
	/* What can't be deleted yet is listed, with its record. */
	if (ub_helper_wait(&helper, UNDO_MS, &result) == 0 && (!result || result == -ENODEV))
		(void)ub_record_remove(info->dev_id, info->ublksrv_flags);
	ub_helper_end(&helper);
}

static void undo(struct ub_launch *launch)
{
	ub_close(&launch->server.channel);
	/* It waits for this process to say so. */
	if (launch->foreground && launch->undone)
		return;
	/* A recovery that has begun to fetch goes on by itself, and is not to be killed. */
	if (launch->mode != UB_LAUNCH_ADD) {
		(void)ub_process_wait(launch->server.pidfd, LET_GO_MS);
		(void)waitpid(launch->server.pid, NULL, WNOHANG);
		return;
	}
	if (wait_gone(launch))
		remove_left_device(launch);
}

void ub_launch_abort(struct ub_launch *launch)
{
	undo(launch);
	free_launch(launch);
}

/* Return: 1 ready, 0 go on, or a negative errno. */
static int take_message(struct ub_launch *launch, uint32_t *ret_id, struct ub_notes *notes,
			struct ub_error *err)
{
	struct ub_message msg;
	ssize_t n = recv(launch->server.channel, &msg, sizeof(msg), 0);

	if (n < 0)
		return errno == EINTR ? 0
				      : ub_fail(err, UB_STAGE_SERVER, -errno,
						"cannot hear from the server");
	if (n != sizeof(msg))
		return ub_fail_text(err, UB_STAGE_SERVER, -EPIPE,
				    "cannot start the device: its server died without a word");
	msg.text[sizeof(msg.text) - 1] = '\0';
	switch (msg.type) {
	case UB_MESSAGE_NOTE:
		ub_note(notes, "%s", msg.text);
		return 0;
	case UB_MESSAGE_READY:
		*ret_id = msg.id;
		return 1;
	default:
		launch->undone = msg.undone;
		return ub_fail_text(err, (enum ub_stage)msg.stage, msg.code < 0 ? msg.code : -EIO,
				    "%s", msg.text);
	}
}

static int wait_ready(struct ub_launch *launch, int interrupt_fd, int timeout_ms, uint32_t *ret_id,
		      struct ub_notes *notes, struct ub_error *err)
{
	struct pollfd fds[] = {
		{.fd = launch->server.channel, .events = POLLIN},
		{.fd = interrupt_fd, .events = POLLIN},
	};
	int64_t deadline = ub_now_ms() + timeout_ms;
	int ret;

	for (;;) {
		ret = poll(fds, UB_ARRAY_SIZE(fds), ub_left_ms(deadline));
		if (ret < 0 && errno != EINTR)
			return ub_fail(err, UB_STAGE_SERVER, -errno, "cannot wait for the server");
		if (ret == 0)
			return ub_fail_text(err, UB_STAGE_SERVER, -ETIMEDOUT,
					    "cannot start the device: its server was not ready "
					    "in time");
		if (ret > 0 && fds[0].revents) {
			ret = take_message(launch, ret_id, notes, err);
			if (ret)
				return ret < 0 ? ret : 0;
		}
		if (ret > 0 && fds[1].revents)
			return ub_fail_text(err, UB_STAGE_SERVER, -EINTR, "interrupted");
	}
}

/* Whoever is told of a new device finds it by its name. One that has no link serves all the same: only an
 * interruption is an error. */
static int wait_link(const struct ub_record *record, uint32_t id, int64_t deadline,
		     int interrupt_fd, struct ub_notes *notes, struct ub_error *err)
{
	int left = ub_left_ms(deadline), ret;

	if (!record->spec.name || record->spec.no_wait || record->spec.unprivileged)
		return 0;
	ret = ub_links_await(record->spec.name, id, interrupt_fd, left < LINK_MS ? left : LINK_MS);
	if (ret == -EINTR)
		return ub_fail_text(err, UB_STAGE_SERVER, -EINTR, "interrupted");
	if (ret && ret != -EOPNOTSUPP)
		ub_note(notes, "udev has not made the link /dev/disk/by-ublk/%s%s%s",
			record->spec.name, ret == -ETIMEDOUT ? " in time" : ": ",
			ret == -ETIMEDOUT ? "" : strerror(-ret));
	return 0;
}

int ub_launch(enum ub_launch_mode mode, const struct ub_record *record, int program,
	      int interrupt_fd, struct ub_launch **ret_launch, uint32_t *ret_id,
	      struct ub_notes *notes, struct ub_error *err)
{
	_cleanup_(free_launchp)
	struct ub_launch *launch = calloc(1, sizeof(*launch));
	int64_t deadline = ub_now_ms() + (int64_t)record->spec.timeout_s * 1000;
	_cleanup_close_ int handover_fd = -1;
	int ret;

	if (!launch)
		return ub_fail(err, UB_STAGE_SPAWN, -ENOMEM, "cannot start a server");
	launch->mode = mode;
	launch->foreground = record->spec.foreground;
	launch->restart = record->spec.restart;
	launch->server.channel = -1;
	launch->server.pidfd = -1;
	ret = ub_program_check_proc(err);
	if (!ret)
		ret = make_handover(mode, record, &handover_fd, &launch->handover,
				    &launch->handover_size, err);
	if (!ret)
		ret = ub_spawn_server(&launch->server, record, program, handover_fd,
				      launch->handover, interrupt_fd, err);
	if (ret)
		return ret;
	/* The server has the same deadline and says more about what it waits for: let it speak. */
	ret = wait_ready(launch, interrupt_fd, (int)record->spec.timeout_s * 1000 + GRACE_MS,
			 ret_id, notes, err);
	if (!ret && mode == UB_LAUNCH_ADD)
		ret = wait_link(record, *ret_id, deadline, interrupt_fd, notes, err);
	if (ret) {
		undo(launch);
		if (stays(launch))
			ub_error_add(err, "; process %d removes it as soon as its backing answers",
				     launch->server.pid);
		return ret;
	}
	*ret_launch = UB_TAKE_PTR(launch);
	return 0;
}

int ub_launch_commit(struct ub_launch *launch, int *ret_bond, struct ub_error *err)
{
	struct ub_message msg = {.type = UB_MESSAGE_COMMIT};
	ssize_t n = send(launch->server.channel, &msg, sizeof(msg), MSG_NOSIGNAL);

	if (n != sizeof(msg)) {
		(void)ub_fail_text(err, UB_STAGE_SERVER, -EPIPE,
				   "cannot keep the device: its server has died");
		ub_launch_abort(launch);
		return -EPIPE;
	}
	if (ret_bond)
		*ret_bond = UB_TAKE_FD(launch->server.channel);
	if (launch->restart)
		ub_restart_start();
	free_launch(launch);
	return 0;
}
