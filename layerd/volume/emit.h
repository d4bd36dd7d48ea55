/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writes a change list into a layer: "stat, read, stat" for each file, so that
 * what gets in is a state the file really had.
 */

#include "volume/captured.h"
#include "volume/changes.h"
#include "volume/layer-build.h"

struct emit_request {
	struct layer_build *build;
	struct changes *changes;
	const struct progress *progress;
	int root_fd;   /* upper directory, or a plain one */
	int merged_fd; /* root of the merged mount; -1: a plain directory */
	/* The new capture, brought up to date with what was read; or NULL. */
	struct captured_writer *after;
	int64_t stamp_ns; /* clock before the upper was synced */
	/* Indexes of the layers that were sealed last, to find all names of
	 * linked files: of those in the change list and of those changed since
	 * then (INT64_MAX for none). */
	struct erofs_reader *const *layers;
	size_t n_layers;
	int64_t links_since_ns;
	/* Whether those layers have an object at path; NULL: there are none. */
	bool (*lower_has)(const char *path, void *ctx);
	void *lower_ctx;
};

/* A file that changes this often while it is read fails the seal. */
#define EMIT_TRIES 10

/*
 * Blocks. -EAGAIN: with a text, a file would not hold still and is named;
 * without one, an object changed its kind and the scan must be made again.
 */
int emit_changes(const struct emit_request *request, struct err *err);
