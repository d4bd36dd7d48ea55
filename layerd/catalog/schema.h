/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* All SQL of the catalog. */

#include <stddef.h>

/* In the database header, where file(1) finds it: "LYRD". */
#define SCHEMA_APPLICATION_ID 0x4c595244

/* Step n takes a database from user_version n to n + 1; the first one starts
 * from an empty file. Steps that were released never change. */
extern const char *const schema_steps[];
extern const size_t schema_version;

enum schema_query {
	QUERY_BEGIN,
	QUERY_COMMIT,
	QUERY_ROLLBACK,
	QUERY_META_GET,
	QUERY_META_SET,
	QUERY_META_REMOVE,
	QUERY_CHUNK_FIND,
	QUERY_CHUNK_ADD,
	QUERY_CHUNK_REMOVE,
	QUERY_CHUNK_COUNT,
	QUERY_CHUNK_CLEAR,
	QUERY_PACK_FIND,
	QUERY_PACK_ADD,
	QUERY_PACK_REMOVE,
	QUERY_PACK_TOTALS,
	QUERY_PACK_LIST,
	QUERY_PACK_CLEAR,
	QUERY_VERSION_ADD,
	QUERY_VERSION_FIND,
	QUERY_VERSION_LIST,
	QUERY_VERSION_CLEAR,
	QUERY_LAYER_ADD,
	QUERY_LAYER_FIND,
	QUERY_LAYER_LIST,
	QUERY_LAYER_CLEAR,
	QUERY_MOUNT_ADD,
	QUERY_MOUNT_REMOVE,
	QUERY_MOUNT_LIST,
	QUERY_CACHE_TOUCH,
	QUERY_CACHE_REMOVE,
	QUERY_LISTED_GET,
	QUERY_LISTED_SET,
	QUERY_LISTED_REMOVE,
	QUERY_LISTED_CLEAR,
	QUERY_ENTRY_ADD,
	QUERY_ENTRY_REMOVE,
	QUERY_ENTRY_CLEAR,
	QUERY_ENTRY_GET,
	QUERY_ENTRY_PAGE,
	QUERY_ENTRY_PAGE_OF,
	QUERY_ENTRY_PLACES,
	QUERY_ENTRY_RELATED,
	QUERY_COUNT
};

/* By enum schema_query. */
extern const char *const schema_queries[QUERY_COUNT];
