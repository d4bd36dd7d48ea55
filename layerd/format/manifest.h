/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A version: an OCI image manifest and its config (OCI image specification
 * 1.0), both canonical JSON (sorted keys, no spaces), so that equal versions
 * have equal digests. What OCI has no field for is an annotation of the
 * manifest:
 *   io.layerd.parent         digest of the version before, absent in the first
 *   io.layerd.volume         volume it was sealed into
 *   io.layerd.sequence       its number there
 *   io.layerd.layer-objects  digests of the layer objects, bottom first,
 *                            separated by commas
 *   io.layerd.changed        files changed by this seal
 *   io.layerd.added          size of the layer that this seal made, 0 if none
 *   io.layerd.consistency    how the seal was made consistent, a word;
 *                            absent when there is nothing to say
 *   io.layerd.label.KEY      the user's labels
 *   org.opencontainers.image.created  RFC 3339, nanoseconds
 */

#include "util/buf.h"
#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define VERSION_LAYERS_MAX 32
#define VERSION_MESSAGE_MAX (64u << 10) /* bytes of UTF-8 */
#define VERSION_BLOB_MAX (4u << 20)	/* of a manifest or a config */
#define VERSION_LABELS_MAX 256
#define VERSION_LABEL_KEY_MAX 128
#define VERSION_LABEL_VALUE_MAX 4096

struct version_layer {
	struct digest tar;    /* diff_id and blob digest */
	uint64_t tar_size;    /* bytes */
	struct digest object; /* layer object */
};

struct label {
	char *key;
	char *value;
};

struct version {
	struct digest digest; /* of the manifest; set by encode and decode */
	struct digest config; /* of the config, likewise */

	struct version_layer *layers; /* bottom first */
	size_t n_layers;

	bool has_parent;
	struct digest parent;
	char *volume;
	uint64_t sequence;
	int64_t created; /* seconds since 1970 */
	uint32_t created_nsec;
	char *message;	   /* "" when none was given */
	char *consistency; /* "" when there is nothing to say */
	uint64_t changed;  /* files changed by this seal */
	uint64_t added;	   /* size of the layer this seal made, 0 if none */

	struct label *labels; /* sorted by key */
	size_t n_labels;
};

struct version *version_free(struct version *v);
void version_freep(struct version **v);
int version_new(struct version **ret);

/* Appends; strings are copied. -ENOMEM; -E2BIG for a layer beyond
 * VERSION_LAYERS_MAX; -EINVAL for a label that breaks the rules (key
 * [a-z0-9._/-]+ of at most 128 bytes, value UTF-8) and for a message that is
 * too long or not UTF-8, -EEXIST for a label given twice. */
int version_add_layer(struct version *v, const struct version_layer *layer);
int version_add_label(struct version *v, const char *key, const char *value,
		      struct err *err);
int version_set_message(struct version *v, const char *message,
			struct err *err);

/* Whether a label keeps these rules; value may be NULL. -EINVAL. */
int version_label_check(const char *key, const char *value, struct err *err);

/*
 * Appends manifest and config to the buffers and sets v->digest. volume and
 * sequence must be set. -EINVAL when labels make the manifest larger than
 * VERSION_BLOB_MAX, though each is within its limits. The config has one
 * history entry for each layer and an empty one for a version without a new
 * layer; the comment of its last is the message.
 */
int version_encode(struct version *v, struct buf *manifest, struct buf *config,
		   struct digest *ret_config, struct err *err);

/* The digest of the config that a manifest refers to. -EBADMSG. */
int version_config_digest(const uint8_t *manifest, size_t size,
			  struct digest *ret, struct err *err);

/*
 * Decodes both after checking that the config is the manifest's. Unknown
 * fields are ignored, wrong or missing ones are -EBADMSG with a sentence, as
 * are more layers than VERSION_LAYERS_MAX.
 */
int version_decode(const uint8_t *manifest, size_t manifest_size,
		   const uint8_t *config, size_t config_size,
		   struct version **ret, struct err *err);
