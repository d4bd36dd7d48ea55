/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the emitter's side and the threads of a pipeline share. */

#include "format/chunker.h"
#include "format/pack.h"
#include "util/buf.h"
#include "util/table.h"
#include "volume/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SLAB_SIZE (4u << 20)
#define PIPELINE_WORKERS_MAX 16
#define PIPELINE_CLOSERS 2

/* Memory that chunks are cut from; a reference for the emitter and two for each
 * chunk in flight (worker, hasher). */
struct slab {
	atomic_int refs;
	uint8_t data[SLAB_SIZE];
};

/* A chunk on its way; slot n % PIPELINE_JOBS for the nth chunk. */
struct job {
	struct slab *slab;
	const uint8_t *data;
	uint32_t size;
	uint64_t offset;
	bool snapshot; /* the hasher saves its state before this one */
	bool worked;   /* a worker is done with it */
	struct digest digest;
	uint32_t unique;
	struct buf frame; /* empty when the store has the chunk already */
};

/* A chunk by content. Its place is known once the packer has passed it. */
struct unique {
	struct digest digest;
	uint32_t pack; /* index into packs */
	uint32_t length;
	uint64_t offset;
};

struct known_pack {
	struct digest digest;
	bool ours; /* written by this pipeline */
};

struct chunk_row {
	uint32_t unique;
	uint32_t size;
	uint64_t offset;
};

/* A full pack being made durable. */
struct closer {
	struct pipeline *pipeline;
	pthread_t thread;
	bool running;
	struct store_upload *upload;
	struct hasher *hasher;
	struct pack_toc toc;
	uint32_t pack;
};

struct pipeline {
	struct store *store;
	struct catalog *catalog;
	int tar_fd;

	/* Emitter only. */
	struct slab *slab;
	size_t start;	 /* of the pending chunk in slab */
	size_t fill;	 /* end of the bytes in slab */
	uint64_t offset; /* in the stream, of the pending chunk */
	struct chunker chunker;
	struct {
		uint64_t chunk;
		uint64_t offset;
		struct chunker chunker;
		struct buf pending;
		bool set;
	} mark;

	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job jobs[PIPELINE_JOBS];
	uint64_t submitted, claimed, hashed, packed;
	bool closing;
	struct err error;
	struct unique *unique;
	size_t n_unique, unique_alloc;
	struct table unique_table;
	struct known_pack *packs;
	size_t n_packs;
	uint64_t stored;

	/* Packer only, or while nothing is in flight. */
	struct chunk_row *rows;
	size_t n_rows, rows_alloc;
	struct store_upload *upload;
	struct hasher *pack_hasher;
	struct pack_toc toc;
	uint32_t pack;
	uint64_t pack_size;
	struct closer closers[PIPELINE_CLOSERS];
	unsigned int next_closer;

	/* Hasher only, or while nothing is in flight. */
	struct hasher *tar_hasher;
	struct hasher *tar_saved;

	pthread_t threads[PIPELINE_WORKERS_MAX + 2];
	size_t n_threads;
};

void slab_unref(struct slab *s);

/* Starts workers, hasher and packer. */
int pipeline_start(struct pipeline *p, struct err *err);

/* The first error wins and ends all threads. */
void pipeline_fail(struct pipeline *p, const struct err *err);

/* Whether all that is taken from other packs is there; -ESTALE without a
 * sentence: not all, and the catalog was put right. */
int pipeline_check_reused(struct pipeline *p, struct err *err);

/* Hands the open pack, if any, to a closer, and waits for closers. */
void pipeline_close_pack(struct pipeline *p);
void pipeline_join_closers(struct pipeline *p);

/* The index of a pack in packs, added if it is not there. Under lock. */
int pipeline_add_pack(struct pipeline *p, const struct digest *digest,
		      uint32_t *ret);
