/* SPDX-License-Identifier: MIT */
/* Where a server would live: programs, udev, rights, namespaces, systemd. */
#include "doctor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/clean.h"
#include "device/namespace.h"
#include "device/quota.h"
#include "machine.h"
#include "process/process.h"
#include "process/program.h"

#define RULES "60-ublk.rules"
#define SYSTEMD "/run/systemd/system"

void ub_check_program(struct ub_doctor *doctor)
{
	struct ub_error err = {0};
	char path[PATH_MAX];
	int ret = ub_program_check_proc(&err);

	if (!ret) {
		ret = ub_program_find_server(path);
		if (ret)
			(void)ub_fail(&err, UB_STAGE_SPAWN, ret,
				      "cannot find the server program %.400s", path);
	}
	if (ret)
		ub_doctor_bad(doctor, &err);
	else
		ub_doctor_good(doctor, "devices are served by %.500s", path);
}

enum rules { RULES_NONE, RULES_EMPTY, RULES_THERE };

/* A file in an earlier folder stands in for those of the same name. @ret_path: it, as it is told. */
static enum rules find_rules(const char **ret_path)
{
	static const char *const paths[] = {
		"/etc/udev/rules.d/" RULES,           "/run/udev/rules.d/" RULES,
		"/usr/local/lib/udev/rules.d/" RULES, "/usr/lib/udev/rules.d/" RULES,
		"/lib/udev/rules.d/" RULES,
	};
	struct stat st;

	for (size_t i = 0; i < UB_ARRAY_SIZE(paths); i++) {
		*ret_path = paths[i];
		/* A link to /dev/null is no less empty. */
		if (stat(paths[i], &st) == 0)
			return S_ISREG(st.st_mode) && st.st_size ? RULES_THERE : RULES_EMPTY;
	}
	return RULES_NONE;
}

/* An ordinary user's device is no use until udev has opened its nodes to him. */
static void check_user_udev(struct ub_doctor *doctor, bool runs, enum rules rules)
{
	struct ub_error err = {0};

	if (!runs)
		(void)ub_fail_text(&err, UB_STAGE_CHAR, -EACCES,
				   "cannot add a device: udev, which would open its node to user "
				   "%u, does not run",
				   geteuid());
	else
		(void)ub_fail_text(&err, UB_STAGE_CHAR, -EACCES,
				   "cannot use a device: udev has %s " RULES
				   ", by which it would open its node to user %u",
				   rules == RULES_EMPTY ? "an empty" : "no", geteuid());
	ub_doctor_bad(doctor, &err);
}

void ub_check_udev(struct ub_doctor *doctor)
{
	bool runs = access("/run/udev/control", F_OK) == 0;
	const char *path;
	enum rules rules = find_rules(&path);

	if (ub_ctrl_is_unprivileged() && (!runs || rules != RULES_THERE))
		check_user_udev(doctor, runs, rules);
	else if (!runs)
		ub_doctor_note(doctor,
			       access(SYSTEMD, F_OK) == 0
				       ? "systemctl start systemd-udevd"
				       : "start udev, as by: /lib/systemd/systemd-udevd --daemon",
			       "does not run: only root can have devices, and there are no links "
			       "to them in /dev/disk");
	else if (rules == RULES_NONE)
		ub_doctor_note(doctor,
			       "install ublk's " RULES
			       " in /etc/udev/rules.d, then: udevadm control --reload",
			       "runs without ublk's rules: only root can have devices");
	else if (rules == RULES_EMPTY)
		ub_doctor_good(doctor, "runs, and %s keeps ordinary users from devices", path);
	else
		ub_doctor_good(doctor, "runs, with %s", path);
}

void ub_check_privileges(struct ub_doctor *doctor)
{
	struct ub_error err = {0};

	if (ub_has_cap(CAP_SYS_ADMIN) && ub_process_in_user_namespace()) {
		(void)ub_fail_text(
			&err, UB_STAGE_ADD, -EPERM,
			"cannot add a device: CAP_SYS_ADMIN is this namespace's of users, "
			"and the driver asks for the machine's");
		ub_doctor_bad(doctor, &err);
	} else if (ub_has_cap(CAP_SYS_ADMIN)) {
		ub_doctor_good(doctor, "CAP_SYS_ADMIN: devices of every kind");
		if (doctor->ctrl && ub_quota_check(doctor->ctrl, &err) < 0)
			ub_doctor_note(doctor, UB_QUOTA_MORE, "an ordinary user %s", err.msg);
	} else if (ub_ctrl_is_unprivileged() && doctor->ctrl &&
		   ub_quota_check(doctor->ctrl, &err) < 0) {
		ub_doctor_bad(doctor, &err);
	} else if (ub_ctrl_is_unprivileged()) {
		ub_doctor_good(doctor, "an ordinary user's: devices without recovery and "
				       "partitions, and not for swap");
	} else {
		ub_doctor_note(doctor, NULL, "no CAP_SYS_ADMIN, and the node is not for all");
	}
}

static bool has_own_mounts(void)
{
	struct stat own, first;

	return stat("/proc/self/ns/mnt", &own) == 0 && stat("/proc/1/ns/mnt", &first) == 0 &&
	       own.st_ino != first.st_ino;
}

void ub_check_namespaces(struct ub_doctor *doctor)
{
	bool processes = ub_process_in_namespace();
	struct ub_error err = {0};

	if (ub_namespace_is_in_the_way()) {
		(void)ub_fail_text(&err, UB_STAGE_START, -EOPNOTSUPP,
				   "cannot start a device: on Linux 6.16 and 6.17 the driver wants "
				   "the server's number outside of its process namespace");
		ub_doctor_bad(doctor, &err);
	} else if (processes) {
		ub_doctor_note(doctor, "ublk del --force DEV, of a device that nobody uses",
			       "in a namespace of processes: who outside has a device open can't "
			       "be seen, so `ublk del` may refuse it");
	}
	if (!ub_machine_makes_nodes()) {
		(void)ub_fail_text(&err, UB_STAGE_NODE, -ETIMEDOUT,
				   "cannot open a device: its node will not come, as /dev is not "
				   "the kernel's");
		ub_doctor_bad(doctor, &err);
	}
	if (has_own_mounts())
		ub_doctor_note(doctor, NULL,
			       "in a mount namespace of its own: what is mounted here is not seen "
			       "outside");
	else if (!processes)
		ub_doctor_good(doctor, "the machine's own");
}

void ub_check_systemd(struct ub_doctor *doctor)
{
	if (access(SYSTEMD, F_OK) == 0)
		ub_doctor_good(doctor, "runs");
	else
		ub_doctor_note(doctor, NULL,
			       "does not run: something else has to bring devices back at boot");
}
