/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * POSIX ACLs between the value of the extended attributes that Linux keeps them
 * in (include/uapi/linux/posix_acl_xattr.h) and the text of POSIX.1e draft 17
 * that tar archives hold, with numeric ids:
 *
 *   user::rw-,user:1000:r-x,group::r--,mask::rwx,other::r--
 */

#include "util/buf.h"

#define POSIX_ACL_ACCESS_XATTR "system.posix_acl_access"
#define POSIX_ACL_DEFAULT_XATTR "system.posix_acl_default"

/* Appends the text of an attribute's value. -EINVAL for a value that is not a
 * POSIX ACL of version 2, -ENOMEM; b is then as it was. */
int posix_acl_to_text(const void *value, size_t size, struct buf *b);

/*
 * Appends the value for a text of size bytes, its entries in the order that the
 * kernel asks for. Entries end in ',' or newline; a fourth field is the numeric
 * id, as bsdtar and star write it. -EINVAL for text that is not an ACL or that
 * has a user or group by name alone, -ENOMEM; b is then as it was.
 */
int posix_acl_from_text(const char *text, size_t size, struct buf *b);
