/* SPDX-License-Identifier: MIT */
/*
 * What has to be done in the caller's place, where its files and its name service are, and before there are threads:
 * librados has some as soon as it is asked anything. So a process of its own asks it what the configuration says, and
 * the server keeps open what it will read later.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "rbd/rbd.h"

/* That reading a file and asking a name service may take. */
#define OPEN_MS 15000
#define KEPT_FD 3

/* What that process says. */
struct answer {
	int ret; /* negative errno of librados */
	char keyrings[UB_RBD_KEYRINGS_SIZE];
	char hosts[UB_RBD_HOSTS_SIZE];
	char unknown[256]; /* a host without an address; "": all have one */
	char too_long[16]; /* a setting that there is no room for; "": there is, for all */
};

static void take_too_long(struct answer *a, const char *key)
{
	(void)snprintf(a->too_long, sizeof(a->too_long), "%s", key);
}

/* To the hosts. */
__attribute__((format(printf, 2, 3))) static void append(struct answer *a, const char *fmt, ...)
{
	size_t len = strlen(a->hosts);
	va_list args;

	va_start(args, fmt);
	if ((size_t)vsnprintf(a->hosts + len, sizeof(a->hosts) - len, fmt, args) >=
	    sizeof(a->hosts) - len)
		take_too_long(a, "mon_host");
	va_end(args);
}

static bool is_address(const char *host)
{
	struct in6_addr addr;

	return inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1;
}

/* A host's addresses, each with the port behind it. Return: has it any? */
static bool add_host(struct answer *a, const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	char text[INET6_ADDRSTRLEN];

	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return false;
	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		bool v6 = i->ai_family == AF_INET6;

		if (getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0)
			append(a, "%s%s%s%s%s", *a->hosts ? "," : "", v6 ? "[" : "", text,
			       v6 ? "]" : "", port);
	}
	freeaddrinfo(list);
	return true;
}

/* One of "ADDRESS", "HOST:PORT", "[ADDRESS]:PORT", "v1:HOST:PORT/0". Those that have a word before or something
 * behind are addresses: that is how a cluster names itself. */
static void add_monitor(struct answer *a, char *text)
{
	char *colon = strrchr(text, ':'), port[16] = "";
	bool has_port = colon && colon == strchr(text, ':') && strlen(colon) < sizeof(port);

	if (has_port) {
		(void)strcpy(port, colon);
		*colon = '\0';
	}
	if (*text == '[' || strchr(text, '/') || strchr(text, ':') || is_address(text))
		append(a, "%s%s%s", *a->hosts ? "," : "", text, port);
	else if (!add_host(a, text, port) && !*a->unknown)
		(void)snprintf(a->unknown, sizeof(a->unknown), "%.255s", text);
}

/* A list with commas, semicolons or spaces between, of which those within brackets are of one monitor. */
static void add_monitors(struct answer *a, char *list)
{
	unsigned depth = 0;
	char *from = list;

	for (char *c = list;; c++) {
		bool ends = !*c || (!depth && strchr(",; \t", *c)), last = !*c;

		depth += *c == '[';
		depth -= *c == ']' && depth > 0;
		if (!ends)
			continue;
		*c = '\0';
		if (*from)
			add_monitor(a, from);
		from = c + 1;
		if (last)
			return;
	}
}

static void get(rados_t cluster, const char *key, char *value, size_t size, struct answer *a)
{
	if (rados_conf_get(cluster, key, value, size) == -ENAMETOOLONG)
		take_too_long(a, key);
}

static void ask_librados(const struct ub_rbd_args *args, struct answer *a)
{
	char user[256], hosts[UB_RBD_HOSTS_SIZE] = "";
	rados_t cluster;

	(void)snprintf(user, sizeof(user), "client.%s", args->user ? args->user : "admin");
	a->ret = rados_create2(&cluster, args->cluster ? args->cluster : "ceph", user, 0);
	if (a->ret >= 0)
		a->ret = rados_conf_read_file(cluster, args->conf);
	if (a->ret < 0)
		return;
	get(cluster, "keyring", a->keyrings, sizeof(a->keyrings), a);
	get(cluster, "mon_host", hosts, sizeof(hosts), a);
	add_monitors(a, hosts);
}

/* In the child. */
static void __attribute__((noreturn)) answer_and_end(const struct ub_rbd_args *args, int to)
{
	struct answer a = {0};

	/* Of the server's it keeps nothing open, and it ends with that; what is typed at a server in the foreground
	 * is not for it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0);
	(void)dup2(to, KEPT_FD);
	(void)close_range(KEPT_FD + 1, ~0U, 0);
	(void)dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDERR_FILENO);
	ask_librados(args, &a);
	_exit(write(KEPT_FD, &a, sizeof(a)) != sizeof(a));
}

static int receive(int from, struct answer *a)
{
	int64_t deadline = ub_now_ms() + OPEN_MS;
	size_t have = 0;

	while (have < sizeof(*a)) {
		struct pollfd fd = {.fd = from, .events = POLLIN};
		int ready = poll(&fd, 1, ub_left_ms(deadline));
		ssize_t n;

		if (ready == 0)
			return -ETIMEDOUT;
		n = ready < 0 ? -1 : read(from, (char *)a + have, sizeof(*a) - have);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		have += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Return: 0 or a negative errno: of the asking. */
static int ask(const struct ub_rbd_args *args, struct answer *a)
{
	_cleanup_close_ int from = -1;
	int ends[2], ret;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	from = ends[0];
	pid = fork();
	if (pid == 0)
		answer_and_end(args, ends[1]);
	(void)close(ends[1]);
	if (pid < 0)
		return -errno;
	ret = receive(from, a);
	if (ret)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ret;
}

/* The first of a list of files that can be opened. */
static void open_keyring(struct ub_rbd *r)
{
	char copy[UB_RBD_KEYRINGS_SIZE], *save = NULL;

	(void)snprintf(copy, sizeof(copy), "%s", r->keyrings);
	for (char *path = strtok_r(copy, ",; ", &save); path && r->keyring_fd < 0;
	     path = strtok_r(NULL, ",; ", &save)) {
		r->keyring_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (r->keyring_fd < 0 && errno != ENOENT && !r->keyring_error)
			r->keyring_error = -errno;
	}
}

/* Return: 0, or a negative errno with a message. */
static int check_answer(const struct answer *answer, const char *conf, struct ub_error *err)
{
	if (answer->ret < 0)
		return ub_fail(err, UB_STAGE_CONNECT, answer->ret,
			       "cannot read Ceph's configuration %s", conf);
	if (*answer->too_long)
		return ub_fail_text(err, UB_STAGE_CONNECT, -ENAMETOOLONG,
				    "cannot reach the cluster: %s of %s is too long",
				    answer->too_long, conf);
	if (*answer->unknown)
		return ub_fail_text(err, UB_STAGE_CONNECT, -EHOSTUNREACH,
				    "cannot reach the cluster: monitor %s of %s has no address",
				    answer->unknown, conf);
	if (!*answer->hosts)
		return ub_fail_text(err, UB_STAGE_CONNECT, -EINVAL,
				    "cannot reach the cluster: %s names no monitor (\"mon host\")",
				    conf);
	return 0;
}

static int read_conf(struct ub_rbd *r, const struct ub_rbd_args *a, struct answer *answer,
		     struct ub_error *err)
{
	int ret;

	r->conf_fd = open(a->conf, O_RDONLY | O_CLOEXEC);
	ret = r->conf_fd < 0 ? -errno : ask(a, answer);
	if (ret == -ETIMEDOUT)
		return ub_fail_text(err, UB_STAGE_CONNECT, ret,
				    "cannot look up the monitors of %s in time", a->conf);
	return ret ? ub_fail(err, UB_STAGE_CONNECT, ret, "cannot read Ceph's configuration %s",
			     a->conf)
		   : check_answer(answer, a->conf, err);
}

int ub_rbd_open(struct ub_tgt *tgt, void *args, const struct ub_open_request *req,
		struct ub_notes *notes, struct ub_error *err)
{
	const struct ub_rbd_args *a = args;
	struct ub_rbd *r = calloc(1, sizeof(*r));
	struct answer answer = {0};
	int ret;

	(void)req;
	(void)notes;
	if (!r)
		return ub_fail(err, UB_STAGE_MEMORY, -ENOMEM, "cannot use %s", a->image);
	tgt->state = r;
	r->conf_fd = r->keyring_fd = r->changed_fd = -1;
	ret = read_conf(r, a, &answer, err);
	if (ret) {
		ub_tgt_close(tgt);
		return ret;
	}
	memcpy(r->keyrings, answer.keyrings, sizeof(r->keyrings));
	memcpy(r->hosts, answer.hosts, sizeof(r->hosts));
	open_keyring(r);
	return 0;
}
