/* SPDX-License-Identifier: MIT */
#include "screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clean.h"
#include "term.h"

int ub_screen_open(struct ub_screen *screen, FILE *file)
{
	struct sigaction stop;
	sigset_t set;

	*screen =
		(struct ub_screen){.file = file, .drawn = ub_term_has_screen(file), .signals = -1};
	if (!screen->drawn)
		return 0;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	/* One that is ignored would be kept if it were blocked. */
	if (sigaction(SIGTSTP, NULL, &stop) == 0 && stop.sa_handler != SIG_IGN)
		(void)sigaddset(&set, SIGTSTP);
	(void)sigaddset(&set, SIGCONT);
	screen->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (screen->signals < 0)
		return -errno;
	(void)sigprocmask(SIG_BLOCK, &set, &screen->before);
	ub_term_enter_screen(file);
	return 0;
}

void ub_screen_close(struct ub_screen *screen)
{
	if (screen->signals >= 0) {
		ub_close(&screen->signals);
		ub_term_leave_screen(screen->file);
		if (screen->text)
			(void)fputs(screen->text, screen->file);
		(void)fflush(screen->file);
		(void)sigprocmask(SIG_SETMASK, &screen->before, NULL);
	}
	free(screen->text);
	screen->text = NULL;
}

void ub_screen_show(struct ub_screen *screen, char *text)
{
	_cleanup_free_ char *former = screen->text;

	screen->text = text;
	if (former && strcmp(former, text) == 0)
		return;
	if (screen->drawn)
		ub_term_draw(screen->file, text);
	else
		(void)fprintf(screen->file, "%s%s", former ? "\n" : "", text);
}

void ub_screen_handle(struct ub_screen *screen)
{
	struct signalfd_siginfo info;

	while (read(screen->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTSTP) {
			ub_term_leave_screen(screen->file);
			(void)raise(SIGSTOP);
		}
		if (info.ssi_signo != SIGWINCH)
			ub_term_enter_screen(screen->file);
	}
	if (screen->text)
		ub_term_draw(screen->file, screen->text);
}
