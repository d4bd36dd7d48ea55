/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tree.c and tree-data.c share. */

#include "cache/cache.h"
#include "format/erofs-reader.h"
#include "format/layer-object.h"
#include "volume/draft.h"
#include "volume/tree.h"

struct tree_index {
	unsigned int users; /* trees */
	struct erofs_reader *reader;
	struct buf data; /* of an index that was not in the cache */
	/* Read when data of the layer is asked for. */
	bool has_chunks;
	struct layer_object object;
	struct cache_layer cached; /* tar_fd -1 until then */
	struct draft *draft;	   /* NULL: a layer that was sealed */
};

/* Opens the tree of layers, with room for one more on top. */
int tree_open_layers(struct tree **ret, struct host *h,
		     const struct version_layer *layers, size_t n,
		     const struct progress *progress, struct err *err);

struct tree {
	struct host *host;
	const struct progress *progress;
	struct version_layer *layers;
	struct tree_index **indexes;
	size_t n;
};
