/* SPDX-License-Identifier: MIT */
/*
 * What the data lies on: opening regular files and block devices, making sure that each is one and
 * the right one, and keeping others away from them. Knows neither blocks nor direct I/O (probe.h)
 * nor what is served.
 */
#pragma once

#include <sys/types.h>

#include "target/target.h"

/* Return: 0 for a regular file and a block device, else -EINVAL or -EISDIR with a message. */
int ub_backing_check_kind(const char *path, mode_t mode, struct ub_error *err);

/*
 * Opens what is at @path, or makes a file of @create bytes there if that is not 0, and identifies it; one
 * that @req expects in its place is also looked for elsewhere. It becomes the last of ub_tgt.backings (but
 * for what of it is served), and its descriptor, without O_DIRECT, the last of ub_tgt.files: a target opens
 * its backings before any other file, and at most UB_BACKINGS_MAX. One that can't be written to is opened
 * for reading, with a note: ub_backing.writable.
 *
 * Return: 0, or a negative errno with a message; then @tgt may be partly filled: ub_tgt_undo() and
 * ub_tgt_close(). -EBUSY: a block device that another one has. -ESTALE: it is not the one that is expected.
 */
int ub_backing_open(struct ub_tgt *tgt, const char *path, uint64_t create,
		    const struct ub_open_request *req, struct ub_notes *notes,
		    struct ub_error *err);

/* Notes what a recovery has to go without: of files that have no name, or nothing firm to be known by. */
void ub_backings_note(const struct ub_tgt *tgt, struct ub_notes *notes);

/* Below: @which of ub_tgt.backings. */

/*
 * What of it is served has been set (offset, length), and is to be of no other backing of this device, nor of
 * anybody else: it is locked, if @req does not forbid that.
 * Return: 0, or a negative errno with a message; -EBUSY: as ub_backing_lock().
 */
int ub_backing_take(const struct ub_tgt *tgt, unsigned which, const struct ub_open_request *req,
		    struct ub_error *err);

/*
 * Locks @length bytes of it, from where it is served on. The descriptor is the only one of its
 * description: the lock lasts as long as the server's I/O does, even past the server's death. (Of a block
 * device the whole is the server's alone, by O_EXCL; so no two devices have a range of it each.)
 *
 * Return: 0, or a negative errno with a message; -EBUSY: another one has it, or a part of it.
 */
int ub_backing_lock(const struct ub_tgt *tgt, unsigned which, uint64_t length,
		    struct ub_error *err);
/* Lets go of what of it lies behind @length bytes. */
void ub_backing_unlock_rest(const struct ub_tgt *tgt, unsigned which, uint64_t length);

/* Looks how large the whole of it is now. Return: 0 with ub_backing.size, or a negative errno. */
int ub_backing_measure(struct ub_tgt *tgt, unsigned which);

/*
 * Opens the very file or block device of @fd once more: a description of its own, for the errors that
 * the kernel tells to each; without O_DIRECT and without a lock. Return: a descriptor or a negative
 * errno.
 */
int ub_backing_open_again(int fd);
