/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records of pax headers, "LENGTH KEYWORD=VALUE\n". */

#include <stddef.h>
#include <stdint.h>

/* One record, its keyword and value terminated in place. */
struct pax_record {
	char *keyword;
	char *value;
	size_t size;
};

/* Cuts the next record off *p, which is before end. -EBADMSG. */
int pax_record_next(char **p, char *end, struct pax_record *ret);

/* All of s as a decimal number of at most max. -EBADMSG. */
int pax_decimal(const char *s, size_t n, uint64_t max, uint64_t *ret);
