/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"
#include "sim.h"

struct sim sim;

static const char usage[] =
	"Usage: sim [--seed N] [--schedules N] [--seconds N] [--trace]\n"
	"\n"
	"Runs lib/queue and loop's I/O against a model of ublk_drv and io_uring, a schedule for "
	"each\n"
	"seed from N on (default 1): so many of them (default 1000), or for so many seconds.\n"
	"The first that the oracle objects to is told with all that happened in it: exit status "
	"1.\n"
	"--trace tells the first one in any case.\n";

void tell(const char *fmt, ...)
{
	va_list ap;

	printf("%6u  ", sim.now);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
}

/* Return: was there nothing to object to? */
static bool run_schedule(uint64_t seed, bool tracing, uint64_t *events)
{
	char *data[REQUESTS_MAX];

	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		data[i] = sim.requests[i].data;
	memset(&sim, 0, sizeof(sim));
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		sim.requests[i].data = data[i];
		sim.requests[i].tag = -1;
	}
	sim.seed = seed;
	sim.tracing = tracing;
	random_seed(seed);
	config_make(&sim.config);
	sim.kills_left = sim.config.kills;
	if (tracing)
		config_print(&sim.config);
	if (setjmp(sim.out)) {
		sim.current = NULL;
		return false;
	}
	driver_open_char();
	backing_init();
	oracle_init();
	*events += schedule_run();
	return true;
}

/* A crash, or a queue that never enters the kernel again: the seed tells all. */
static void crashed(int signal)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "sim: seed %" PRIu64 ": signal %d\n", sim.seed,
			 signal);

	(void)!write(STDOUT_FILENO, text, (size_t)n);
	_exit(1);
}

static void catch_crashes(void)
{
	static char stack[65536];
	const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
	struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK};

	(void)sigaltstack(&alternative, NULL);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		(void)sigaction(signals[i], &action, NULL);
}

static int report(uint64_t seed)
{
	uint64_t events = 0;

	printf("sim: seed %" PRIu64 "\n", seed);
	(void)run_schedule(seed, true, &events);
	printf("sim: seed %" PRIu64 ", event %u: %s\n", seed, sim.now, sim.objection);
	return 1;
}

struct arguments {
	uint64_t seed, schedules, seconds;
	bool trace;
};

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (!*text || *end) {
		(void)fprintf(stderr, "sim: '%s' is no number\n", text);
		exit(2);
	}
	return n;
}

static struct arguments parse(int argc, char **argv)
{
	struct arguments a = {.seed = 1};

	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;

		if (strcmp(argv[i], "--seed") == 0 && has_value) {
			a.seed = number(argv[++i]);
		} else if (strcmp(argv[i], "--schedules") == 0 && has_value) {
			a.schedules = number(argv[++i]);
		} else if (strcmp(argv[i], "--seconds") == 0 && has_value) {
			a.seconds = number(argv[++i]);
		} else if (strcmp(argv[i], "--trace") == 0) {
			a.trace = true;
		} else {
			(void)fputs(usage, strcmp(argv[i], "--help") == 0 ? stdout : stderr);
			exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
		}
	}
	if (!a.schedules)
		a.schedules = a.seconds ? UINT64_MAX : 1000;
	return a;
}

int main(int argc, char **argv)
{
	struct arguments a = parse(argc, argv);
	time_t begin = time(NULL);
	uint64_t events = 0, n;

	catch_crashes();
	for (n = 0; n < a.schedules && (!a.seconds || time(NULL) - begin < (time_t)a.seconds);
	     n++) {
		(void)alarm(20);
		if (!run_schedule(a.seed + n, a.trace && n == 0, &events))
			return report(a.seed + n);
	}
	printf("%" PRIu64 " schedules, %" PRIu64 " events, %lld s\n", n, events,
	       (long long)(time(NULL) - begin));
	return 0;
}
