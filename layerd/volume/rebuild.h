/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The catalog's index over the store, made anew from the store alone: chunk
 * places from the contents of the packs, versions from the volumes' sequence
 * objects, layers from the manifests. Packs and volumes that cannot be read are
 * left out (their chunks are then stored again) and named in the result.
 */

#include "volume/host.h"

/*
 * Adds versions and layers that the index lacks: the last commits before a
 * power cut, or one whose last step failed. Does so once for a daemon, for whom
 * something was not found; whether it did.
 */
bool host_complete_catalog(struct host *h);

int host_rebuild_catalog(struct host *h, struct err *err);
