/* SPDX-License-Identifier: MIT */
#include "layer/io_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"

int ub_io_log_check(const struct ub_io_log_head *head, size_t size)
{
	if (size < sizeof(*head) || memcmp(head->magic, UB_IO_LOG_MAGIC, sizeof(head->magic)) != 0)
		return -EBADMSG;
	if (head->version != UB_IO_LOG_VERSION ||
	    head->record_size != sizeof(struct ub_io_log_record))
		return -EPROTONOSUPPORT;
	return head->places && head->places <= (uint64_t)INT64_MAX / head->record_size ? 0
										       : -EBADMSG;
}

static int by_time(const void *a, const void *b)
{
	const struct ub_io_log_record *x = a, *y = b;

	return x->began_ns < y->began_ns ? -1 : x->began_ns > y->began_ns;
}

/* Return: how many, those that are there; or a negative errno. */
static int64_t read_records(FILE *file, uint64_t places, struct ub_io_log_record **ret_records)
{
	_cleanup_free_ struct ub_io_log_record *r = NULL;
	struct stat st;
	uint64_t there;
	size_t n, count = 0;

	/* Those that were never used need not be there. */
	if (fstat(fileno(file), &st) != 0 || fseeko(file, UB_IO_LOG_HEAD, SEEK_SET) != 0)
		return -errno;
	there = st.st_size > UB_IO_LOG_HEAD ? ((uint64_t)st.st_size - UB_IO_LOG_HEAD) / sizeof(*r)
					    : 0;
	if (there > places)
		there = places;
	r = calloc(there + 1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	n = fread(r, sizeof(*r), there, file);
	if (ferror(file))
		return -EIO;
	for (size_t i = 0; i < n; i++)
		if (r[i].began_ns)
			r[count++] = r[i];
	qsort(r, count, sizeof(*r), by_time);
	*ret_records = UB_TAKE_PTR(r);
	return (int64_t)count;
}

int64_t ub_io_log_read(const char *path, struct ub_io_log_record **ret_records,
		       uint64_t *ret_left_out, struct ub_error *err)
{
	/* Of a FIFO nobody waits for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	struct ub_io_log_head head = {0};
	int64_t ret = 0;

	if (!file)
		ret = -errno;
	if (!file && fd >= 0)
		ub_close(&fd);
	if (file)
		ret = (int64_t)fread(&head, 1, sizeof(head), file);
	if (file && ferror(file))
		ret = -EISDIR;
	if (ret >= 0) {
		ret = ub_io_log_check(&head, (size_t)ret);
		if (ret)
			return ub_fail_text(err, UB_STAGE_LAYER, (int)ret,
					    "cannot read %s: it is %s", path,
					    ret == -EBADMSG ? "no log of layer 'log'"
							    : "another version's log");
		*ret_left_out = head.left_out;
		ret = read_records(file, head.places, ret_records);
	}
	return ret < 0 ? ub_fail(err, UB_STAGE_LAYER, (int)ret, "cannot read %s", path) : ret;
}
