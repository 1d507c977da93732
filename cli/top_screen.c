/* SPDX-License-Identifier: MIT */
#include "top_screen.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/clean.h"
#include "top.h"

#define ESCAPE 27
#define ESCAPE_MS 100 /* that the rest of a key may take to come, by a slow line too */
#define CELLS_MAX 512

static const int handled[] = {SIGINT, SIGTERM, SIGTSTP, SIGWINCH};

/* The library sets handlers of its own, which would end the process in their way. */
static SCREEN *open_quietly(void)
{
	struct sigaction before[UB_ARRAY_SIZE(handled)];
	SCREEN *screen;

	for (size_t i = 0; i < UB_ARRAY_SIZE(handled); i++)
		(void)sigaction(handled[i], NULL, &before[i]);
	screen = newterm(NULL, stdout, stdin);
	for (size_t i = 0; i < UB_ARRAY_SIZE(handled); i++)
		(void)sigaction(handled[i], &before[i], NULL);
	return screen;
}

static void begin_colours(void)
{
	(void)start_color();
	(void)use_default_colors();
	(void)init_pair(UB_LOOK_GOOD, COLOR_GREEN, -1);
	(void)init_pair(UB_LOOK_NOTE, COLOR_YELLOW, -1);
	(void)init_pair(UB_LOOK_BAD, COLOR_RED, -1);
}

int ub_top_screen_open(bool colour, struct ub_error *err)
{
	const char *term = getenv("TERM");

	/* For the characters of names. */
	(void)setlocale(LC_CTYPE, "");
	if (!open_quietly())
		return ub_fail_text(err, UB_STAGE_NONE, -ENOTTY,
				    "cannot draw on this terminal: nothing is known of TERM=%s",
				    term ? term : "");
	(void)set_escdelay(ESCAPE_MS);
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)nodelay(stdscr, TRUE);
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	if (colour && has_colors())
		begin_colours();
	return 0;
}

void ub_top_screen_close(void)
{
	if (stdscr && !isendwin())
		(void)endwin();
}

void ub_top_screen_resize(void)
{
	struct winsize size;

	/* resizeterm() would make a key of it. */
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		(void)resize_term(size.ws_row, size.ws_col);
	/* Terminals move what they have to where it fits. */
	(void)clearok(curscr, TRUE);
}

void ub_top_screen_renew(void)
{
	(void)reset_prog_mode();
	ub_top_screen_resize();
}

/* As any program is stopped, which the kernel leaves out where nobody could have it go on: SIGSTOP it would
 * not. */
static void stop(void)
{
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	struct sigaction was;
	sigset_t one, before;

	(void)sigemptyset(&one);
	(void)sigaddset(&one, SIGTSTP);
	(void)sigaction(SIGTSTP, &usual, &was);
	(void)raise(SIGTSTP);
	(void)sigprocmask(SIG_UNBLOCK, &one, &before);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)sigaction(SIGTSTP, &was, NULL);
}

void ub_top_screen_stop(void)
{
	(void)endwin();
	stop();
	ub_top_screen_renew();
}

int ub_top_screen_rows(void)
{
	return LINES;
}

int ub_top_screen_columns(void)
{
	return COLS;
}

unsigned ub_top_screen_key(void)
{
	static const struct {
		int key;
		enum ub_top_key is;
	} keys[] = {
		{KEY_UP, UB_KEY_UP},         {KEY_DOWN, UB_KEY_DOWN},
		{KEY_LEFT, UB_KEY_LEFT},     {KEY_RIGHT, UB_KEY_RIGHT},
		{KEY_PPAGE, UB_KEY_PAGE_UP}, {KEY_NPAGE, UB_KEY_PAGE_DOWN},
		{KEY_HOME, UB_KEY_HOME},     {KEY_END, UB_KEY_END},
		{KEY_ENTER, UB_KEY_ENTER},   {'\r', UB_KEY_ENTER},
		{'\n', UB_KEY_ENTER},        {KEY_BACKSPACE, UB_KEY_BACK},
		{'\b', UB_KEY_BACK},         {'\177', UB_KEY_BACK},
		{ESCAPE, UB_KEY_ESCAPE},     {'L' - '@', UB_KEY_REDRAW},
	};
	int key = getch();

	if (key == ERR)
		return UB_KEY_NONE;
	for (size_t i = 0; i < UB_ARRAY_SIZE(keys); i++)
		if (keys[i].key == key)
			return keys[i].is;
	return key < KEY_MIN ? (unsigned)key : UB_KEY_OTHER;
}

void ub_top_screen_begin(void)
{
	(void)erase();
}

/* One character of @text, and how many columns it takes; what the terminal's locale does not have, as one. */
static int take_char(const char **text, wchar_t *ret_char)
{
	mbstate_t state = {0};
	size_t len = mbrtowc(ret_char, *text, MB_CUR_MAX, &state);
	int width = len && len <= MB_CUR_MAX ? wcwidth(*ret_char) : -1;

	if (width < 0)
		*ret_char = L'?';
	*text += width < 0 ? 1 : len;
	return width < 0 ? 1 : width;
}

/* Return: how many columns it takes, at most @width; @cells has them. */
static int fill(const char *text, int width, wchar_t cells[static CELLS_MAX])
{
	int used = 0;
	size_t count = 0;

	while (*text && count + 1 < CELLS_MAX) {
		int more = take_char(&text, &cells[count]);

		if (used + more > width)
			break;
		used += more;
		count++;
	}
	cells[count] = L'\0';
	return used;
}

static attr_t attribute_of(enum ub_look look)
{
	switch (look) {
	case UB_LOOK_PLAIN:
		return A_NORMAL;
	case UB_LOOK_BOLD:
		return A_BOLD;
	case UB_LOOK_REVERSE:
		return A_REVERSE;
	case UB_LOOK_MARKED:
		return A_REVERSE | A_BOLD | A_UNDERLINE;
	case UB_LOOK_GOOD:
	case UB_LOOK_NOTE:
	case UB_LOOK_BAD:
		break;
	}
	/* Without colours a pair is none. */
	return (attr_t)COLOR_PAIR((int)look);
}

void ub_top_screen_put(int row, int column, int width, enum ub_look look, const char *text)
{
	bool right = width < 0;
	wchar_t cells[CELLS_MAX];
	int used;

	width = right ? -width : width;
	if (width > COLS - column)
		width = COLS - column;
	if (row < 0 || row >= LINES || width <= 0)
		return;
	used = fill(text, width, cells);
	(void)attrset((int)attribute_of(look));
	(void)mvhline(row, column, ' ' | attribute_of(look), width);
	(void)mvaddwstr(row, right ? column + width - used : column, cells);
	(void)attrset((int)A_NORMAL);
}

void ub_top_screen_show(void)
{
	(void)refresh();
}
