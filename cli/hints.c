/* SPDX-License-Identifier: MIT */
#include "hints.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "device/driver.h"
#include "device/quota.h"
#include "kernel/known.h"
#include "base/escape.h"
#include "machine.h"
#include "process/process.h"

#define ANY_STAGE UB_STAGE_COUNT
#define ANY_BUT_RING (UB_STAGE_COUNT + 1) /* who is not root is refused no ring */
#define ANY_ERRNO 0
#define NO_NAMESPACE "run it outside of the container, or on Linux 6.18 or newer: uname -r"

struct hint {
	int stage;
	int code; /* errno, positive */
	bool (*when)(const struct ub_facts *facts);
	const char *text; /* {verb}, {device}, {mount}, {mounted}, {swap} stand for what is known */
};

static bool is_no_root(const struct ub_facts *facts)
{
	return facts->verb && geteuid() != 0;
}

static bool is_add(const struct ub_facts *facts)
{
	static const char *const verbs[] = {"add", "run", "apply"};

	for (size_t i = 0; facts->verb && i < UB_ARRAY_SIZE(verbs); i++)
		if (strcmp(facts->verb, verbs[i]) == 0)
			return true;
	return false;
}

static bool has_module(const struct ub_facts *facts)
{
	(void)facts;
	return ub_machine_has_module();
}

/* Loaded or built in, and not in this /dev. */
static bool has_no_node(const struct ub_facts *facts)
{
	(void)facts;
	return ub_driver_is_loaded();
}

static bool is_not_loaded_by_add(const struct ub_facts *facts)
{
	return is_add(facts) && has_module(facts) && ub_driver_may_load();
}

static bool is_no_root_with_module(const struct ub_facts *facts)
{
	return is_no_root(facts) && has_module(facts);
}

static bool has_no_module(const struct ub_facts *facts)
{
	(void)facts;
	return !ub_machine_has_module() && !ub_machine_is_debian_12();
}

static bool is_debian_12_without_module(const struct ub_facts *facts)
{
	(void)facts;
	return !ub_machine_has_module() && ub_machine_is_debian_12();
}

static bool is_root(const struct ub_facts *facts)
{
	(void)facts;
	return geteuid() == 0;
}

static bool is_io_uring_off(const struct ub_facts *facts)
{
	(void)facts;
	return ub_machine_io_uring_disabled() > 0;
}

static bool is_filtered(const struct ub_facts *facts)
{
	return !is_io_uring_off(facts) && ub_machine_has_seccomp();
}

static bool has_no_proc(const struct ub_facts *facts)
{
	(void)facts;
	return access("/proc/self", F_OK) != 0;
}

static bool is_in_namespace(const struct ub_facts *facts)
{
	(void)facts;
	return ub_process_in_namespace();
}

static const struct ub_user *find_user(const struct ub_facts *facts, enum ub_user_kind kind)
{
	for (size_t i = 0; facts->users && i < facts->users->count; i++) {
		if (facts->users->list[i].kind == kind)
			return &facts->users->list[i];
	}
	return NULL;
}

static bool is_recovery(const struct ub_facts *facts)
{
	return facts->device && facts->verb && strcmp(facts->verb, "recover") == 0;
}

static bool is_mounted(const struct ub_facts *facts)
{
	const struct ub_user *user = find_user(facts, UB_USER_MOUNT);

	return user && ub_user_is_whole(user);
}

static bool is_mounted_far_down(const struct ub_facts *facts)
{
	const struct ub_user *user = find_user(facts, UB_USER_MOUNT);

	return user && !ub_user_is_whole(user);
}

static bool is_swap(const struct ub_facts *facts)
{
	return find_user(facts, UB_USER_SWAP);
}

static bool is_used(const struct ub_facts *facts)
{
	return facts->device && facts->users && facts->users->count;
}

static bool has_device(const struct ub_facts *facts)
{
	return facts->device;
}

static bool is_in_user_namespace(const struct ub_facts *facts)
{
	(void)facts;
	return ub_process_in_user_namespace();
}

static bool is_crashing_kernel(const struct ub_facts *facts)
{
	(void)facts;
	return ub_known_refuse(NULL) < 0;
}

static bool is_without_devtmpfs(const struct ub_facts *facts)
{
	(void)facts;
	return !ub_machine_makes_nodes();
}

static bool has_verb(const struct ub_facts *facts)
{
	return facts->verb;
}

static bool has_no_verb(const struct ub_facts *facts)
{
	return !facts->verb;
}

#define FILTERED                                                                                   \
	"a seccomp filter forbids io_uring here, as container engines' own does; run it outside, " \
	"or with --security-opt seccomp=PROFILE of one that allows it"

/* In the order of their worth: the first ones that hold are told. */
static const struct hint hints[] = {
	{ANY_STAGE, ENOTTY, NULL, "print it instead: ublk stat --interval 1"},
	{UB_STAGE_USAGE, ANY_ERRNO, has_verb, "ublk {verb} --help"},
	{UB_STAGE_USAGE, ANY_ERRNO, has_no_verb, "ublk help"},

	{UB_STAGE_CONFIG, EINVAL, NULL,
	 "see the keys, which are the long options: ublk add --help"},
	{UB_STAGE_CONFIG, ENODATA, NULL,
	 "if a file system belongs there, mount it; if they are to go: ublk del DEV..."},
	{UB_STAGE_CONFIG, EEXIST, has_device,
	 "make it anew, once nobody uses it: ublk del {device} && ublk apply"},
	{UB_STAGE_CONFIG, EPERM, is_root,
	 "let root alone write it: chown root:root FILE && chmod go-w FILE"},

	{UB_STAGE_CONTROL, ENOENT, has_no_node,
	 "have the driver's node here: --device /dev/ublk-control for the container, or "
	 "mount -t devtmpfs none /dev"},
	{UB_STAGE_CONTROL, ENOENT, is_not_loaded_by_add,
	 "see why it is not loaded: modprobe -v ublk_drv; dmesg | tail"},
	{UB_STAGE_CONTROL, ENOENT, is_no_root_with_module,
	 "have root load the driver: modprobe ublk_drv"},
	{UB_STAGE_CONTROL, ENOENT, has_module, "load the driver: modprobe ublk_drv"},
	{UB_STAGE_CONTROL, ENOENT, is_debian_12_without_module,
	 "this kernel has no ublk; Debian 13 has it, and here: "
	 "apt-get install -t bookworm-backports linux-image-amd64"},
	{UB_STAGE_CONTROL, ENOENT, has_no_module,
	 "this kernel has no ublk; Debian has it from release 13 (Linux 6.12) on: uname -r"},
	{UB_STAGE_CONTROL, EOPNOTSUPP, NULL,
	 "ublk needs Linux 6.12, which Debian has from release 13 on: uname -r"},
	{ANY_STAGE, ENOSYS, is_io_uring_off, "allow io_uring: sysctl kernel.io_uring_disabled=0"},
	{ANY_STAGE, EPERM, is_io_uring_off, "allow io_uring: sysctl kernel.io_uring_disabled=0"},
	{UB_STAGE_RING, ENOSYS, is_filtered, FILTERED},
	{UB_STAGE_RING, EPERM, is_filtered, FILTERED},
	{UB_STAGE_RING, EACCES, is_filtered, FILTERED},
	{UB_STAGE_ADD, EACCES, NULL, "have root allow more: " UB_QUOTA_MORE},
	{ANY_BUT_RING, EACCES, is_no_root, "run it as root: sudo ublk {verb}"},
	{ANY_BUT_RING, EPERM, is_no_root, "run it as root: sudo ublk {verb}"},
	{UB_STAGE_CONTROL, EACCES, is_no_root,
	 "or have root install ublk's udev rules, 60-ublk.rules: then everybody may add devices"},
	{UB_STAGE_CHAR, EACCES, is_no_root,
	 "does udev run, with ublk's rules: ls /usr/lib/udev/rules.d/60-ublk.rules"},
	{UB_STAGE_CONTROL, EACCES, is_root,
	 "root lacks a capability here (CAP_DAC_OVERRIDE): capsh --print"},
	{UB_STAGE_CONTROL, EPERM, is_root,
	 "the control group forbids the node; allow it: DeviceAllow='/dev/ublk-control rw' in the "
	 "unit, or --device /dev/ublk-control for the container"},

	{UB_STAGE_LOOKUP, ENODEV, NULL, "see which devices there are: ublk list"},
	{ANY_STAGE, ENODEV, has_device, "see which devices there are: ublk list"},

	{ANY_STAGE, ENOENT, has_no_proc, "mount -t proc proc /proc"},
	{UB_STAGE_START, EOPNOTSUPP, is_in_namespace, NO_NAMESPACE},
	{UB_STAGE_RECOVER, EOPNOTSUPP, is_in_namespace, NO_NAMESPACE},

	/* Only a number that was asked for is there already; a name is in the records. */
	{UB_STAGE_ADD, EBUSY, NULL, "leave out --id"},
	{UB_STAGE_ADD, EEXIST, NULL, "leave out --id, or see what has it: ublk list"},
	{UB_STAGE_RECORD, EEXIST, NULL, "see what has it: ublk list"},
	{UB_STAGE_ADD, EPERM, is_in_user_namespace,
	 "run it as the machine's root, outside of the namespace of users"},
	{UB_STAGE_ADD, EOPNOTSUPP, is_crashing_kernel, "boot another kernel, see: ublk doctor"},
	{UB_STAGE_BACKING, ENOENT, is_add,
	 "make the file too: ublk {verb} -t loop -f FILE --create SIZE"},
	{UB_STAGE_BACKING, ENODATA, has_device, "give it up: ublk del {device}"},
	{UB_STAGE_BACKING, ESTALE, has_device, "see what it was made of: ublk show {device}"},
	{UB_STAGE_BACKING, ESTALE, is_recovery,
	 "if it is the right one all the same: ublk recover {device} -t loop -f FILE --force"},
	{UB_STAGE_BACKING, ESTALE, has_device,
	 "put that back, or lose the device: ublk del --force {device}"},
	{UB_STAGE_CONNECT, ECONNREFUSED, NULL,
	 "see on its host whether the server runs, and where it listens: ss -ltxnp"},
	{UB_STAGE_CONNECT, ETIMEDOUT, NULL,
	 "see whether it can be reached from here: nc -vz HOST PORT"},
	{UB_STAGE_CONNECT, ENETUNREACH, NULL, "see which way leads there: ip route get ADDRESS"},
	{UB_STAGE_CONNECT, EBUSY, is_add, "see what that client is, or only read: --read-only"},
	{UB_STAGE_CONNECT, EROFS, is_add, "only read: --read-only"},
	{UB_STAGE_LOCK, ANY_ERRNO, NULL, "see which device has it: ublk list"},
	{UB_STAGE_RING, ENOMEM, NULL, "allow more locked memory: ulimit -l unlimited"},
	{UB_STAGE_PLAN, ENOMEM, NULL,
	 "ask for less (--queues, --depth, --max-io), or allow more: ulimit -l KIB, or "
	 "LimitMEMLOCK= "
	 "and MemoryMax= in the service's unit"},
	{UB_STAGE_PLAN, EDQUOT, NULL,
	 "ask for less (--queues, --depth, --max-io), or allow more: --memory-limit SIZE"},
	{UB_STAGE_PLAN, ENOMEM, NULL, "see where it goes: ublk add --dry-run ..."},
	{UB_STAGE_PLAN, EDQUOT, NULL, "see where it goes: ublk add --dry-run ..."},
	{UB_STAGE_PLAN, ENOBUFS, NULL, "ask for less, or leave --mlock out"},
	{UB_STAGE_PLAN, ENOSPC, NULL,
	 "set more of them aside: sysctl vm.nr_hugepages=N (those there are: grep Huge "
	 "/proc/meminfo)"},
	{ANY_STAGE, EMFILE, NULL, "allow more open files: ulimit -n 4096"},
	{UB_STAGE_NODE, ETIMEDOUT, is_without_devtmpfs,
	 "have the kernel's nodes here: mount -t devtmpfs none /dev"},
	{UB_STAGE_NODE, ETIMEDOUT, NULL, "see whether udev is alive: udevadm settle"},
	{UB_STAGE_SERVER, EPIPE, NULL, "see why it died: dmesg | tail"},

	{UB_STAGE_STOP, EBUSY, is_mounted, "umount {mount}"},
	{UB_STAGE_STOP, EBUSY, is_mounted_far_down, "umount --all-targets /dev/{mounted}"},
	{UB_STAGE_STOP, EBUSY, is_swap, "swapoff /dev/{swap}"},
	{UB_STAGE_STOP, EBUSY, has_device,
	 "take it away, and lose what is not written: ublk del --force {device}"},
	{UB_STAGE_STOP, ETIMEDOUT, has_device, "ublk del --force {device}"},
	{UB_STAGE_DEL, ETIMEDOUT, has_device, "see who still has it open: ublk show {device}"},
	{UB_STAGE_RECOVER, EXDEV, has_device,
	 "if you are sure of what you have named: ublk recover --force {device} ..."},
	{UB_STAGE_RECOVER, EINVAL, has_device, "see what is wrong with it: ublk show {device}"},
	{UB_STAGE_RESIZE, EFBIG, has_device,
	 "make room first, or of a file: ublk resize --grow-backing {device} SIZE"},
	{UB_STAGE_RESIZE, EBUSY, is_mounted, "umount {mount}"},
	{UB_STAGE_RESIZE, EBUSY, is_used,
	 "cut off what is used, and lose it: ublk resize --force {device} SIZE"},
	{UB_STAGE_RESIZE, ENOENT, has_device, "see why: ublk show {device}"},
	{UB_STAGE_RESIZE, ENOTCONN, has_device, "give it one: ublk recover {device}"},
	{UB_STAGE_RESIZE, ETIMEDOUT, has_device, "see what is wrong with it: ublk show {device}"},
	{UB_STAGE_SET, EDQUOT, has_device, "see where it goes: ublk memory {device}"},
	{UB_STAGE_SET, ENOTCONN, has_device, "give it one: ublk recover {device}"},
	{UB_STAGE_SET, EPROTONOSUPPORT, has_device,
	 "give it one of this version: ublk upgrade {device}"},
	{UB_STAGE_SET, ETIMEDOUT, has_device, "see what is wrong with it: ublk show {device}"},
	{UB_STAGE_QUIESCE, ENOENT, has_device, "see why: ublk show {device}"},
	{UB_STAGE_QUIESCE, ETIMEDOUT, has_device, "see what is wrong with it: ublk show {device}"},
	{UB_STAGE_UPGRADE, ENODATA, has_device, "give it up: ublk del {device}"},
	{UB_STAGE_UPGRADE, ENOTCONN, has_device, "give it one: ublk recover {device}"},
	{UB_STAGE_UPGRADE, EOPNOTSUPP, has_device,
	 "if it was made with --recovery reissue: ublk upgrade --by-recovery {device}"},
	{UB_STAGE_UPGRADE, ENOENT, has_device, "see why: ublk show {device}"},
	{UB_STAGE_UPGRADE, ETIMEDOUT, has_device, "see what is wrong with it: ublk show {device}"},
	{UB_STAGE_RECOVER, EOPNOTSUPP, NULL, "see what the driver can do: ublk features"},
	{ANY_STAGE, EOPNOTSUPP, NULL, "see what the driver can do: ublk features"},
};

static const char *lookup(const struct ub_facts *facts, const char *name, size_t len)
{
	const struct ub_user *user;

	if (strncmp(name, "verb", len) == 0)
		return facts->verb;
	if (strncmp(name, "device", len) == 0)
		return facts->device;
	if (strncmp(name, "mount", len) == 0 || strncmp(name, "mounted", len) == 0) {
		user = find_user(facts, UB_USER_MOUNT);
		return !user ? NULL : len == strlen("mount") ? user->what : user->device;
	}
	user = find_user(facts, UB_USER_SWAP);
	return user ? user->device : NULL;
}

static bool has_escapes(const char *word)
{
	while (*word) {
		char one[UB_ESCAPED_SIZE];
		const char *before = word;

		if (ub_escape_char(&word, one) != (size_t)(word - before))
			return true;
	}
	return false;
}

/* $'\x1b': what can be read, printed, and typed. */
static void put_escaped_word(FILE *file, const char *word)
{
	(void)fputs("$'", file);
	while (*word) {
		char one[UB_ESCAPED_SIZE];

		if (*word == '\'' || *word == '\\')
			(void)fputc('\\', file);
		(void)ub_escape_char(&word, one);
		(void)fputs(one, file);
	}
	(void)fputc('\'', file);
}

/* As the shell takes it: in quotes where it is more than letters, digits and signs of paths. */
static void put_word(FILE *file, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_./+:@%-";

	if (*word && strspn(word, plain) == strlen(word)) {
		(void)fputs(word, file);
		return;
	}
	if (has_escapes(word)) {
		put_escaped_word(file, word);
		return;
	}
	(void)fputc('\'', file);
	for (; *word; word++) {
		if (*word == '\'')
			(void)fputs("'\\'", file);
		(void)fputc(*word, file);
	}
	(void)fputc('\'', file);
}

static void expand(const char *text, const struct ub_facts *facts, char buf[static UB_HINT_SIZE])
{
	_cleanup_fclose_ FILE *file = fmemopen(buf, UB_HINT_SIZE - 1, "w");

	memset(buf, 0, UB_HINT_SIZE);
	while (file && *text) {
		const char *end = *text == '{' ? strchr(text, '}') : NULL;
		const char *value;

		if (!end) {
			(void)fputc(*text++, file);
			continue;
		}
		value = lookup(facts, text + 1, (size_t)(end - text - 1));
		put_word(file, value ? value : "?");
		text = end + 1;
	}
}

static bool is_there(const struct ub_hints *list, const char *text)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (strcmp(list->text[i], text) == 0)
			return true;
	}
	return false;
}

static bool is_of_stage(const struct hint *hint, enum ub_stage stage)
{
	return hint->stage == ANY_STAGE || hint->stage == (int)stage ||
	       (hint->stage == ANY_BUT_RING && stage != UB_STAGE_RING);
}

void ub_hints_find(const struct ub_error *err, const struct ub_facts *facts,
		   struct ub_hints *ret_hints)
{
	char text[UB_HINT_SIZE];

	ret_hints->count = 0;
	for (size_t i = 0; i < UB_ARRAY_SIZE(hints) && ret_hints->count < UB_HINTS_MAX; i++) {
		const struct hint *hint = &hints[i];

		if (!is_of_stage(hint, err->stage))
			continue;
		if (hint->code != ANY_ERRNO && hint->code != -err->code)
			continue;
		if (hint->when && !hint->when(facts))
			continue;
		expand(hint->text, facts, text);
		if (!is_there(ret_hints, text))
			memcpy(ret_hints->text[ret_hints->count++], text, sizeof(text));
	}
}
