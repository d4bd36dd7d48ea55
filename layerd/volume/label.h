/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Labels of versions that exist. A version never changes, so what is added to
 * the labels it was sealed with, or taken from them, is in the record of the
 * volume, by the version's digest, and holds for this volume alone: a fork
 * begins with the labels of the manifest. What is in the record of a version
 * that the volume has no more does no harm, and holds again when a reset brings
 * the version back.
 */

#include "volume/volume.h"

#define VOLUME_LABELS_MAX 16384 /* in one record */

/* No label is added to a record beyond this size; see VOLUME_RECORD_MAX. */
#define VOLUME_LABELS_RECORD_MAX (2u << 20)

struct label_change {
	const char *key;
	const char *value; /* NULL: take it away */
};

/*
 * Changes labels of a version of the volume, all or none. Setting what is set
 * already is no change; taking away what is not there is -ENOENT; -EINVAL for a
 * label that breaks the rules and for one too many, of the version
 * (VERSION_LABELS_MAX) or of the volume.
 */
int volume_label(struct host *h, const char *volume,
		 const struct version *version,
		 const struct label_change *changes, size_t n, struct err *err);

/* The labels of the record for a version; *ret_n of them. */
const struct volume_label *volume_labels_of(const struct volume *v,
					    const struct digest *version,
					    size_t *ret_n);

/* The value that a label of a version has in a volume (which may be NULL), or
 * NULL. labels are those of the manifest. */
const char *volume_label_value(const struct volume *v,
			       const struct digest *version,
			       const struct label *labels, size_t n,
			       const char *key);

/* By version, then key: for qsort(3). */
int volume_label_compare(const void *a, const void *b);
