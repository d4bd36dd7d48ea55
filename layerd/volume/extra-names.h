/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The names that a layer must hold besides those in the change list: the other
 * names of linked files, see volume/links.h.
 */

#include "volume/emit.h"
#include "volume/links.h"
#include "volume/walker.h"

/*
 * In layer order, with the directories above them. Names that the change list
 * has are left out, and its items for them are marked as needed. merged walks
 * the merged mount.
 */
int extra_names_find(const struct emit_request *request, struct walker *merged,
		     struct link_names *ret, struct err *err);
