/* SPDX-License-Identifier: MIT */
/*
 * The server program: ublk-server HANDOVER_FD [CHANNEL_FD]. Started by `ublk`, not by people; by
 * itself for errands, and by udev to open a node to its owner.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/parse.h"
#include "record/json.h"
#include "record/store.h"
#include "server/errand.h"
#include "server/own.h"
#include "server/server.h"
#include "spec/check.h"

static int parse_fd(const char *text, int *ret_fd)
{
	uint64_t value;
	int ret = ub_parse_u64(text, INT16_MAX, &value);

	if (!ret)
		*ret_fd = (int)value;
	return ret;
}

/* What the starting process had open is none of ours: it would stay open as long as the device. Each of
 * the two may be -1. */
static void close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low > 3)
		(void)close_range(3, (unsigned)low - 1, 0);
	if (high > 3 && high - low > 1)
		(void)close_range(low < 3 ? 3 : (unsigned)low + 1, (unsigned)high - 1, 0);
	(void)close_range(high < 3 ? 3 : (unsigned)high + 1, ~0U, 0);
}

static int take_handover(struct server *s, int fd, struct ub_error *err)
{
	struct ub_handover *map = MAP_FAILED;
	struct stat st;
	int ret = ub_fault("handover");

	if (fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(*map) ||
	    st.st_size > (off_t)(sizeof(*map) + UB_HANDOVER_TEXT_MAX))
		return ub_fail_text(err, UB_STAGE_SPAWN, -EINVAL, "cannot read the task");
	if (!ret) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ret = map == MAP_FAILED ? -errno : 0;
	}
	if (ret)
		return ub_fail(err, UB_STAGE_SPAWN, ret, "cannot map the task");
	(void)close(fd);
	if (map->magic != UB_HANDOVER_MAGIC ||
	    strncmp(map->version, UB_VERSION, sizeof(map->version)) != 0 ||
	    map->text_len != (size_t)st.st_size - sizeof(*map))
		return ub_fail_text(err, UB_STAGE_SPAWN, -EINVAL,
				    "cannot serve: ublk and ublk-server are of different versions");
	/* Not the errands'. */
	if (map->caller_fd >= 0)
		(void)fcntl(map->caller_fd, F_SETFD, FD_CLOEXEC);
	close_others(s->channel, map->caller_fd);
	s->handover = map;
	s->info = &map->info;
	s->mode = (enum ub_launch_mode)map->mode;
	ret = ub_record_from_json(map->text, map->text_len, &s->record, err);
	s->record.spec.caller_fd = map->caller_fd;
	s->record.spec.unprivileged = ub_ctrl_is_unprivileged();
	/* A record that was read back has been checked in its parts only. */
	return ret ? ret : ub_spec_check(&s->record.spec, err);
}

static int open_log(struct server *s, struct ub_error *err)
{
	char *path = s->record.spec.log_file;
	int ret = path ? ub_log_open(&s->log, path) : 0;

	if (ret && s->mode == UB_LAUNCH_RECOVER)
		ub_note(&s->record.notes,
			"the log goes to the journal, since %s cannot be opened: %s", path,
			strerror(-ret));
	return ret ? ub_fail(err, UB_STAGE_SPAWN, ret, "cannot open log file %s", path) : 0;
}

static int start(struct server *s, int handover_fd, struct ub_error *err)
{
	int ret = take_handover(s, handover_fd, err);

	if (!ret)
		ret = server_init_signals(s, err);
	if (ret)
		return ret;
	s->deadline = ub_now_ms() + (int64_t)s->record.spec.timeout_s * 1000;
	server_init_process(s);
	ub_log_init(&s->log, s->foreground);
	if (s->mode == UB_LAUNCH_RECOVER) {
		ret = server_recover(s, err);
		/* Not before: it may lie on the device itself. Nor is it worth one. */
		if (!ret) {
			(void)open_log(s, NULL);
			ub_log(&s->log, LOG_NOTICE, "recovered");
		}
	} else {
		ret = open_log(s, err);
		if (!ret)
			ret = server_add(s, err);
	}
	if (!ret)
		ret = server_ready(s, err);
	return ret;
}

/* What is still there when everything has been told. */
static void done(struct server *s)
{
	ub_ctrl_close(s->ctrl);
	ub_record_release_name(s->record.spec.name, &s->name_lock);
	ub_record_done(&s->record);
	ub_log_close(&s->log);
	ub_close(&s->channel);
	ub_close(&s->signal_fd);
	ub_close(&s->event_fd);
}

int main(int argc, char **argv)
{
	struct server s = {.char_fd = -1,
			   .signal_fd = -1,
			   .event_fd = -1,
			   .channel = -1,
			   .errand_fd = -1,
			   .name_lock = -1};
	struct ub_error err = {0};
	bool undone = true;
	int handover_fd, ret;

	if (argc == 6 && strcmp(argv[1], "errand") == 0)
		return server_errand_main(argv + 2);
	if (argc == 3 && strcmp(argv[1], "own") == 0)
		return server_own_main(argv[2]);
	s.log.fd = -1;
	if (argc < 2 || argc > 3 || parse_fd(argv[1], &handover_fd) != 0 ||
	    (argc == 3 && parse_fd(argv[2], &s.channel) != 0)) {
		(void)fprintf(stderr, "ublk-server: error: not for people: use ublk add\n");
		return 2;
	}
	s.foreground = argc == 2;
	if (s.channel >= 0)
		(void)fcntl(s.channel, F_SETFD, FD_CLOEXEC); /* not the errands' */
	ret = start(&s, handover_fd, &err);
	if (ret == 0) {
		ret = server_live(&s);
	} else {
		undone = server_undo(&s);
		if (!s.foreground || s.log.kind != UB_LOG_STDERR)
			ub_log(&s.log, LOG_ERR, "%s", err.msg);
		server_send(&s, UB_MESSAGE_ERROR, &err, err.msg);
		if (s.foreground)
			(void)fprintf(stderr, "ublk: error: %s\n", err.msg);
	}
	/* With threads that use what would be cleaned up. */
	if (!undone)
		_exit(1);
	done(&s);
	return ret ? 1 : 0;
}
