/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Extended attributes and ACLs from pax records, part of tar-header.h. */

#include "format/tar-header.h"

/*
 * Takes a record if it is an extended attribute or ACL; others are nothing to
 * it. keyword and value are decoded in place and stay where they are until
 * pax_xattr_finish(). -EBADMSG beyond the limits of entry.h, -ENOMEM.
 */
int pax_xattr_add(struct tar_header *h, char *keyword, char *value,
		  size_t size);

/* Sorts what was added; of equal names the last stays, and an ACL's text is
 * dropped where the attribute itself is there. -ENOMEM. */
int pax_xattr_finish(struct tar_header *h);
