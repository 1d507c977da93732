/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "process/beside.h"
#include "process/program.h"
#include "tls/message.h"
#include "tls/tls.h"

/* How much longer than a handshake may take its answer is waited for. */
#define ANSWER_MS 2000

struct ub_tls {
	struct ub_beside helper;
};

static bool put(char *to, size_t size, const char *text)
{
	return !text || snprintf(to, size, "%s", text) < (int)size;
}

/* @name in the folder, if it is there or has to be. */
static bool put_file(char to[static PATH_MAX], const char *folder, const char *name, bool has_to_be)
{
	bool fits = snprintf(to, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;

	if (!has_to_be && access(to, F_OK) != 0)
		to[0] = '\0';
	return fits;
}

static int make_task(const struct ub_tls_options *o, struct ub_tls_task *task, struct ub_error *err)
{
	bool fits = put(task->psk, sizeof(task->psk), o->psk) &&
		    put(task->user, sizeof(task->user), o->user) &&
		    put(task->host, sizeof(task->host), o->host);

	if (o->folder)
		fits = fits && put_file(task->ca, o->folder, "ca-cert.pem", true) &&
		       put_file(task->cert, o->folder, "client-cert.pem", false) &&
		       put_file(task->key, o->folder, "client-key.pem", *task->cert);
	else
		fits = fits && put(task->ca, sizeof(task->ca), o->ca) &&
		       put(task->cert, sizeof(task->cert), o->cert) &&
		       put(task->key, sizeof(task->key), o->key ? o->key : o->cert);
	task->version = UB_TLS_VERSION;
	task->parent = getpid();
	task->lock = o->lock;
	return fits ? 0
		    : ub_fail(err, UB_STAGE_CONNECT, -ENAMETOOLONG,
			      "cannot begin TLS with these files and names");
}

/* Return: 0, or a negative errno: -ETIMEDOUT; -ENOKEY: who was to answer has ended. */
static int read_answer(int fd, const struct ub_patience *patience, struct ub_tls_answer *ret_answer)
{
	ssize_t n;
	int ret = ub_patience_poll(patience, fd, POLLIN);

	if (ret)
		return ret;
	n = recv(fd, ret_answer, sizeof(*ret_answer), MSG_DONTWAIT);
	if (n != sizeof(*ret_answer))
		return -ENOKEY;
	ret_answer->text[sizeof(ret_answer->text) - 1] = '\0';
	return 0;
}

static int give_task(struct ub_tls *tls, const struct ub_tls_task *task,
		     const struct ub_patience *patience, struct ub_error *err)
{
	struct ub_tls_answer answer;
	int ret = ub_beside_ask(&tls->helper, task, sizeof(*task), NULL, 0);

	if (ret == -EPIPE)
		ret = -ENOKEY;
	if (!ret)
		ret = read_answer(tls->helper.channel, patience, &answer);
	/* The loader finds no library, say. */
	if (ret == -ENOKEY)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret,
				    "cannot begin TLS: " UB_TLS_NAME
				    " ends at its start; is libgnutls installed?");
	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot begin TLS");
	return answer.error ? ub_fail_text(err, UB_STAGE_CONNECT, answer.error,
					   "cannot begin TLS: %s", answer.text)
			    : 0;
}

static int begin(struct ub_tls *tls, const struct ub_tls_task *task,
		 const struct ub_patience *patience, struct ub_error *err)
{
	char *argv[] = {NULL, NULL};
	char path[PATH_MAX];
	int ret = ub_program_find(UB_TLS_NAME, path);

	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "cannot begin TLS: no %s", path);
	ret = ub_beside_start(&tls->helper, path, UB_TLS_NAME, argv);
	return ret ? ub_fail(err, UB_STAGE_CONNECT, ret, "cannot begin TLS: cannot start %s", path)
		   : give_task(tls, task, patience, err);
}

int ub_tls_start(const struct ub_tls_options *options, const struct ub_patience *patience,
		 struct ub_tls **ret_tls, struct ub_error *err)
{
	_cleanup_free_ struct ub_tls_task *task = calloc(1, sizeof(*task));
	struct ub_tls *tls = calloc(1, sizeof(*tls));
	int ret;

	if (!task || !tls) {
		free(tls);
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot begin TLS");
	}
	tls->helper = (struct ub_beside)UB_BESIDE_INIT;
	ret = make_task(options, task, err);
	if (!ret)
		ret = begin(tls, task, patience, err);
	if (ret)
		ub_tls_end(tls);
	else
		*ret_tls = tls;
	return ret;
}

void ub_tls_end(struct ub_tls *tls)
{
	if (tls)
		ub_beside_end(&tls->helper);
	free(tls);
}

/* @fds: @count of them, one or two. Return: 0 or a negative errno. */
static int request(const struct ub_tls *tls, enum ub_tls_kind kind, uint32_t timeout_ms,
		   const int *fds, size_t count)
{
	const struct ub_tls_request request = {.kind = (uint32_t)kind, .timeout_ms = timeout_ms};
	int ret = ub_beside_ask(&tls->helper, &request, sizeof(request), fds, count);

	return ret == -EPIPE || ret == -ECONNRESET ? -UB_TLS_GONE : ret;
}

const char *ub_tls_words(int error)
{
	return error == -UB_TLS_GONE ? "the program that begins TLS, " UB_TLS_NAME ", has ended"
				     : strerror(-error);
}

void ub_tls_follow(struct ub_tls *tls)
{
	_cleanup_close_ int space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (space >= 0)
		(void)request(tls, UB_TLS_MOVE, 0, &space, 1);
}

int ub_tls_ask(const struct ub_tls *tls, int fd, uint32_t timeout_ms)
{
	_cleanup_close_ int here = -1, there = -1;
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	here = pair[0];
	there = pair[1];
	ret = request(tls, UB_TLS_SHAKE, timeout_ms, (const int[]){fd, there}, 2);
	return ret ? ret : UB_TAKE_FD(here);
}

int ub_tls_shake(struct ub_tls *tls, int fd, const struct ub_patience *patience,
		 struct ub_error *err)
{
	const struct ub_patience longer = {patience->deadline_ms + ANSWER_MS, patience->ask,
					   patience->arg};
	_cleanup_close_ int from = ub_tls_ask(tls, fd, (uint32_t)ub_left_ms(patience->deadline_ms));
	struct ub_tls_answer answer;
	int ret = from < 0 ? from : read_answer(from, &longer, &answer);

	if (ret == -UB_TLS_GONE)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret, "there is no TLS: %s",
				    ub_tls_words(ret));
	if (ret == -ENOKEY)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret,
				    "there is no TLS: the handshake has ended without a word");
	if (ret)
		return ub_fail(err, UB_STAGE_CONNECT, ret, "there is no TLS");
	if (answer.error)
		return ub_fail_text(err, UB_STAGE_CONNECT, answer.error, "there is no TLS: %s",
				    answer.text);
	return ub_tls_is_on(fd) ? 0
				: ub_fail_text(err, UB_STAGE_CONNECT, -EPROTO,
					       "there is no TLS: the kernel has no keys");
}
