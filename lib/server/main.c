/* SPDX-License-Identifier: MIT */
/*
 * The server program: ublk-server HANDOVER_FD CHANNEL_FD [FRONT]. Started by `ublk`, not by people; by
 * itself for errands, and by udev to open a node to its owner and to learn a disk's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/parse.h"
#include "nbd/names.h"
#include "process/process.h"
#include "process/program.h"
#include "record/json.h"
#include "record/store.h"
#include "server/describe.h"
#include "server/errand.h"
#include "server/own.h"
#include "server/server.h"
#include "spec/check.h"

/* How long it may take to print what was told to it. */
#define FRONT_MS 2000

static int parse_number(const char *text, int *ret_number)
{
	uint64_t value;
	int ret = ub_parse_u64(text, INT32_MAX, &value);

	if (!ret)
		*ret_number = (int)value;
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
	uint32_t begun = UB_BEGUN_NOT;
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
	if (map->magic != UB_HANDOVER_MAGIC || map->format != UB_HANDOVER_FORMAT ||
	    map->mode > UB_LAUNCH_TRY || map->text_len != (size_t)st.st_size - sizeof(*map))
		return ub_fail_text(
			err, UB_STAGE_SPAWN, -EINVAL,
			"cannot serve: ublk and ublk-server are of versions that do not know "
			"each other");
	if (!atomic_compare_exchange_strong(&map->begun, &begun, UB_BEGUN))
		return ub_fail_text(err, UB_STAGE_SPAWN, -EINTR, "nobody waits for this server");
	/* Not the errands'. */
	if (map->caller_fd >= 0)
		(void)fcntl(map->caller_fd, F_SETFD, FD_CLOEXEC);
	close_others(s->channel, map->caller_fd);
	s->handover = map;
	s->info = &map->info;
	s->mode = (enum ub_launch_mode)map->mode;
	s->recovers = s->mode != UB_LAUNCH_ADD && s->mode != UB_LAUNCH_TRY;
	ret = ub_record_from_json(map->text, map->text_len, &s->record, err);
	s->record.spec.bound = map->bound;
	s->record.spec.caller_fd = map->caller_fd;
	s->record.spec.unprivileged = ub_ctrl_is_unprivileged();
	/* A record that was read back has been checked in its parts only. */
	return ret ? ret : ub_spec_check(&s->record.spec, err);
}

static int open_log(struct server *s, struct ub_error *err)
{
	char *path = s->record.spec.log_file, *reached;
	int ret = path ? server_reach_log(s, &reached) : 0;

	ub_close(&s->caller_ns);
	ub_close(&s->caller_root);
	if (path && !ret)
		ret = ub_log_open(&s->log, reached);
	if (ret && s->recovers)
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
#ifdef UB_DYNAMIC
	ret = ub_program_keep_static();
	if (ret)
		return ub_fail(err, UB_STAGE_SPAWN, ret, "cannot find the program " UB_SERVER_NAME);
#endif
	s->deadline = ub_now_ms() + (int64_t)s->record.spec.timeout_s * 1000;
	server_init_process(s);
	server_look_around(s);
	ub_log_init(&s->log, UB_SERVER_NAME, s->foreground);
	s->log.level = s->record.spec.log_level;
	if (s->mode == UB_LAUNCH_TRY)
		return server_try(s, err);
	if (s->recovers) {
		ret = server_recover(s, err);
		if (s->mode == UB_LAUNCH_REHEARSE)
			return ret;
		/* Not before: it may lie on the device itself. Nor is it worth one. */
		if (!ret) {
			server_open_layers(s);
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
	free(s->log.own);
	free(s->log_at);
	server_close_control(&s->control);
	ub_close(&s->channel);
	ub_close(&s->signal_fd);
	ub_close(&s->event_fd);
}

/* The process that speaks for a server in the foreground has told everything when it ends. Return: its
 * exit status, or 1. */
static int end_of_front(struct server *s, int timeout_ms)
{
	_cleanup_close_ int fd = s->front ? (int)syscall(SYS_pidfd_open, s->front, 0) : -1;
	int status;

	if (fd >= 0 && ub_process_wait(fd, timeout_ms) == 0 &&
	    waitpid(s->front, &status, WNOHANG) == s->front)
		server_take_front(s, status);
	return s->foreground && !s->front ? s->front_status : 1;
}

int main(int argc, char **argv)
{
	struct server s = {.char_fd = -1,
			   .signal_fd = -1,
			   .event_fd = -1,
			   .channel = -1,
			   .errand_fd = -1,
			   .name_lock = -1,
			   .dev_fd = -1,
			   .notify_fd = -1,
			   .caller_ns = -1,
			   .caller_root = -1};
	struct ub_error err = {0};
	bool undone = true, told;
	int status = 1;
	int handover_fd, ret;

	if (argc == 7 && strcmp(argv[1], "errand") == 0)
		return server_errand_main(argv + 2);
	if (argc == 3 && strcmp(argv[1], "own") == 0)
		return server_own_main(argv[2]);
	if (argc == 4 && strcmp(argv[1], "describe") == 0)
		return server_describe_main(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "log-dir") == 0)
		return server_log_dir_main(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "log-away") == 0)
		return server_log_away_main(argv[2]);
	if (argc == 4 && strcmp(argv[1], UB_NBD_LOOK_UP) == 0)
		return ub_nbd_names_main(argv[2], argv[3]);
	s.log.fd = -1;
	server_init_control(&s.control);
	if (argc < 3 || argc > 4 || parse_number(argv[1], &handover_fd) != 0 ||
	    parse_number(argv[2], &s.channel) != 0 ||
	    (argc == 4 && parse_number(argv[3], &s.front) != 0)) {
		(void)fprintf(stderr, "ublk-server: error: not for people: use ublk add\n");
		return 2;
	}
	s.foreground = argc == 4;
	(void)fcntl(s.channel, F_SETFD, FD_CLOEXEC); /* not the errands' */
	ret = start(&s, handover_fd, &err);
	if (ret == 0 && (s.mode == UB_LAUNCH_REHEARSE || s.mode == UB_LAUNCH_TRY)) {
		server_rehearsed(&s);
		undone = server_undo(&s);
		status = 0;
	} else if (ret == 0) {
		(void)end_of_front(&s, FRONT_MS);
		status = server_live(&s) ? 1 : 0;
	} else {
		/* In the foreground it is told there. */
		if (!s.foreground || s.log.kind != UB_LOG_STDERR)
			ub_log(&s.log, LOG_ERR, "%s", err.msg);
		undone = server_undo(&s);
		told = server_send(&s, UB_MESSAGE_ERROR, &err, err.msg) && server_has_undone(&s);
		status = end_of_front(&s, told ? FRONT_MS : 0);
	}
	/* With threads, its own or a library's, that use what would be cleaned up. */
	if (!undone || (s.record.spec.target && s.record.spec.target->connect))
		_exit(status);
	done(&s);
	return status;
}
