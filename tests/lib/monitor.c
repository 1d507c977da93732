/* SPDX-License-Identifier: MIT */
/*
 * monitor CONF COMMAND...: gives each command, in JSON, to the monitor of a Ceph cluster and prints what it
 * answers. The program `ceph` does that too, but is Python, which takes seconds of an emulated processor to
 * begin. It waits for a monitor for as long as the configuration says: five minutes.
 */
#include <rados/librados.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int say(rados_t cluster, const char *command)
{
	char *out, *status;
	size_t out_len, status_len;
	int r = rados_mon_command(cluster, &command, 1, NULL, 0, &out, &out_len, &status,
				  &status_len);

	if (r < 0) {
		fprintf(stderr, "monitor: %s: %.*s: %s\n", command, (int)status_len, status,
			strerror(-r));
	} else if (out_len) {
		printf("%.*s\n", (int)out_len, out);
	}
	fflush(stdout);
	rados_buffer_free(out);
	rados_buffer_free(status);
	return r;
}

int main(int argc, char **argv)
{
	rados_t cluster;
	int i, r;

	if (argc < 3) {
		fprintf(stderr, "usage: monitor CONF COMMAND...\n");
		return 125;
	}
	r = rados_create(&cluster, "admin");
	if (r == 0)
		r = rados_conf_read_file(cluster, argv[1]);
	if (r == 0)
		r = rados_connect(cluster);
	if (r < 0)
		fprintf(stderr, "monitor: cannot connect: %s\n", strerror(-r));
	for (i = 2; i < argc && r >= 0; i++)
		r = say(cluster, argv[i]);
	/* An orderly end has threads to wait for. */
	_exit(r < 0);
}
