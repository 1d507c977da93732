/* SPDX-License-Identifier: MIT */
/* What the kernel has to offer: its version, the driver, io_uring. */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/parse.h"
#include "device/driver.h"
#include "kernel/features.h"
#include "kernel/known.h"
#include "machine.h"
#include "process/helper.h"
#include "process/process.h"

#define CONTROL_NODE "/dev/ublk-control"
#define OLDEST "6.12"
#define RING_MS 3000

static void tell_fault(struct ub_doctor *doctor, const struct ub_known_fault *fault)
{
	struct ub_error err = {0};

	if (fault->fatal && ub_known_refuse(&err) < 0)
		ub_doctor_bad(doctor, &err);
	else
		ub_doctor_note(doctor, fault->way, "on this kernel, %s", fault->what);
	if (!doctor->failed)
		doctor->findings[doctor->count - 1].source = fault->source;
}

void ub_check_kernel(struct ub_doctor *doctor)
{
	struct utsname name = {0};

	(void)uname(&name);
	if (ub_linux_version(name.release) < ub_linux_version(OLDEST))
		ub_doctor_note(doctor, "boot Linux " OLDEST " or newer",
			       "Linux %s is older than " OLDEST
			       ", the first whose ublk driver can be used",
			       name.release);
	else
		ub_doctor_good(doctor, "Linux %s", name.release);
	for (const struct ub_known_fault *fault = ub_known_faults; fault->what; fault++) {
		if (!ub_known_fault_has(fault, name.release))
			continue;
		tell_fault(doctor, fault);
		/* The others matter to nobody then. */
		if (fault->fatal)
			break;
	}
}

void ub_check_module(struct ub_doctor *doctor)
{
	struct ub_error err = {0};

	if (ub_driver_is_loaded()) {
		ub_doctor_good(doctor, access("/sys/module/ublk_drv/initstate", F_OK) == 0
					       ? "ublk_drv is loaded"
					       : "the driver is there");
		return;
	}
	if (!ub_driver_may_load()) {
		(void)ub_fail_text(&err, UB_STAGE_CONTROL, -ENOENT,
				   "cannot find the ublk driver: it is not loaded, and this user "
				   "may not load it");
		ub_doctor_bad(doctor, &err);
	} else if (ub_driver_try_load(&err) < 0) {
		ub_doctor_bad(doctor, &err);
	} else {
		doctor->loads_driver = true;
		ub_doctor_note(doctor, "modprobe ublk_drv",
			       "ublk_drv is not loaded: `ublk add` does that");
	}
}

/* A server that may, serves from a /dev of its own, which is the kernel's: there the node is, whatever
 * is here. */
static bool has_own_dev(void)
{
	return ub_has_cap(CAP_SYS_ADMIN) && !ub_process_in_user_namespace() &&
	       !ub_machine_makes_nodes();
}

static void check_coming_node(struct ub_doctor *doctor)
{
	struct ub_error err = {0};

	if (ub_machine_makes_nodes() || has_own_dev()) {
		ub_doctor_good(doctor, CONTROL_NODE " comes with the driver");
		return;
	}
	(void)ub_fail_text(&err, UB_STAGE_CONTROL, -ENOENT,
			   "cannot find the ublk driver: " CONTROL_NODE
			   " will not come, as /dev is not the kernel's");
	ub_doctor_bad(doctor, &err);
}

static void tell_node(struct ub_doctor *doctor)
{
	struct stat st = {0};

	doctor->has_node = true;
	(void)stat(CONTROL_NODE, &st);
	ub_doctor_good(doctor, CONTROL_NODE " can be opened (owner %u, mode %03o)", st.st_uid,
		       st.st_mode & 07777);
}

void ub_check_node(struct ub_doctor *doctor)
{
	struct ub_error err = {0};
	int ret;

	if (doctor->loads_driver) {
		check_coming_node(doctor);
		return;
	}
	ret = ub_ctrl_check_node(&err);
	if (ret == 0)
		tell_node(doctor);
	else if (ret == -ENOENT && !ub_driver_is_loaded())
		ub_doctor_note(doctor, NULL, "there is no " CONTROL_NODE " without the driver");
	else if (has_own_dev())
		ub_doctor_note(doctor, "mount -t devtmpfs none /dev",
			       "only a server finds the driver from here: %s", err.msg);
	else
		ub_doctor_bad(doctor, &err);
}

static int call_ring(const void *arg)
{
	(void)arg;
	return ub_ctrl_check_ring(NULL);
}

/* In a process of its own: there are filters that kill. Return: 0 or a negative errno; -EPIPE: it
 * was killed. */
static int try_ring(void)
{
	struct ub_helper helper;
	int result = 0, ret = ub_helper_start(&helper, call_ring, NULL);

	if (ret)
		return ret;
	ret = ub_helper_wait(&helper, RING_MS, &result);
	ub_helper_end(&helper);
	return ret ? ret : result;
}

static int fail_killed(struct ub_error *err)
{
	return ub_fail_text(err, UB_STAGE_SERVER, -EPIPE,
			    "cannot use io_uring: a seccomp filter kills who tries");
}

static int fail_memory(struct ub_error *err)
{
	struct rlimit limit = {0};
	char text[16];

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	return ub_fail_text(err, UB_STAGE_RING, -ENOMEM,
			    "cannot use io_uring: its rings are charged to locked memory "
			    "(RLIMIT_MEMLOCK), of which this user may have %s",
			    limit.rlim_cur == RLIM_INFINITY
				    ? "any amount"
				    : ub_format_size(limit.rlim_cur, text, sizeof(text)));
}

/* Who forbids it, of those who can. */
static int fail_forbidden(struct ub_error *err, int code)
{
	switch (ub_machine_io_uring_disabled()) {
	case 2:
		return ub_fail_text(
			err, UB_STAGE_RING, code,
			"cannot use io_uring: the sysctl kernel.io_uring_disabled is 2, "
			"which keeps everybody from it");
	case 1:
		return ub_fail_text(
			err, UB_STAGE_RING, code,
			"cannot use io_uring: the sysctl kernel.io_uring_disabled is 1, "
			"and this user has neither CAP_SYS_ADMIN nor the group of "
			"kernel.io_uring_group");
	default:
		break;
	}
	if (ub_machine_has_seccomp())
		return ub_fail(err, UB_STAGE_RING, code,
			       "cannot use io_uring: a seccomp filter refuses it");
	if (code == -ENOSYS)
		return ub_fail_text(err, UB_STAGE_RING, code,
				    "cannot use io_uring: this kernel was built without it");
	return ub_fail(err, UB_STAGE_RING, code, "cannot use io_uring");
}

void ub_check_io_uring(struct ub_doctor *doctor)
{
	struct ub_error err = {0};
	int ret = try_ring();

	if (ret == 0) {
		doctor->has_ring = true;
		ub_doctor_good(doctor, "allowed to this user");
		return;
	}
	if (ret == -EPIPE)
		(void)fail_killed(&err);
	else if (ret == -ENOMEM)
		(void)fail_memory(&err);
	else if (ret == -EPERM || ret == -EACCES || ret == -ENOSYS)
		(void)fail_forbidden(&err, ret);
	else
		(void)ub_fail(&err, UB_STAGE_RING, ret, "cannot use io_uring");
	ub_doctor_bad(doctor, &err);
}

void ub_check_driver(struct ub_doctor *doctor)
{
	unsigned known = 0, present = 0;
	struct ub_error err = {0};

	if (!doctor->has_node || !doctor->has_ring) {
		ub_doctor_note(doctor, NULL, "not asked%s",
			       doctor->loads_driver ? " before it is loaded" : "");
		return;
	}
	if (ub_ctrl_open(&doctor->ctrl, &err) < 0) {
		ub_doctor_bad(doctor, &err);
		return;
	}
	for (const struct ub_feature *f = ub_features; f->name; f++) {
		known++;
		present += (ub_ctrl_features(doctor->ctrl) & f->bit) != 0;
	}
	ub_doctor_good(doctor, "answers, and has %u of the %u features that are known", present,
		       known);
}
