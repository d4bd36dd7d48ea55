/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/schema.h"

#include "util/cleanup.h"

const char *const schema_steps[] = {
	/*
	 * 1. chunk is the large table: one row for each chunk in the store,
	 * looked up by digest for each chunk that is sealed. Rows name their
	 * pack by a small number; chunk_pack is for taking a pack back.
	 * bytes is the size of the whole pack.
	 */
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
	"  WITHOUT ROWID;"
	"CREATE TABLE pack (id INTEGER PRIMARY KEY,"
	"  digest BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL,"
	"  chunks INTEGER NOT NULL);"
	"CREATE TABLE chunk (digest BLOB PRIMARY KEY, pack INTEGER NOT NULL,"
	"  offset INTEGER NOT NULL, length INTEGER NOT NULL,"
	"  size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX chunk_pack ON chunk (pack);"
	"CREATE TABLE version (digest BLOB PRIMARY KEY, volume TEXT NOT NULL,"
	"  sequence INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE layer (tar BLOB PRIMARY KEY, object BLOB NOT NULL,"
	"  size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE mount (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  reference TEXT NOT NULL, version BLOB NOT NULL,"
	"  path BLOB NOT NULL, device INTEGER NOT NULL,"
	"  boot_id TEXT NOT NULL, created INTEGER NOT NULL);"
	"CREATE TABLE cache (tar BLOB PRIMARY KEY, bytes INTEGER NOT NULL,"
	"  used INTEGER NOT NULL) WITHOUT ROWID;",
	/*
	 * 2. entry has what versions are searched by and what is told of them,
	 * newest first: of all volumes, or of one. labels are those of the
	 * manifest, each as key, NUL, value, NUL; parent is empty where there
	 * is none. listed says up to which number the entries of a volume were
	 * made, and what its head was then.
	 */
	"CREATE TABLE listed (volume TEXT PRIMARY KEY,"
	"  sequence INTEGER NOT NULL, head BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE entry (volume TEXT NOT NULL, sequence INTEGER NOT NULL,"
	"  digest BLOB NOT NULL, created INTEGER NOT NULL,"
	"  nsec INTEGER NOT NULL, message TEXT NOT NULL, labels BLOB NOT NULL,"
	"  parent BLOB NOT NULL, origin TEXT NOT NULL,"
	"  number INTEGER NOT NULL, consistency TEXT NOT NULL,"
	"  changed INTEGER NOT NULL, added INTEGER NOT NULL,"
	"  size INTEGER NOT NULL, PRIMARY KEY (volume, sequence)) WITHOUT "
	"ROWID;"
	"CREATE INDEX entry_all ON entry"
	"  (created, nsec, digest, volume, sequence);"
	"CREATE INDEX entry_of ON entry"
	"  (volume, created, nsec, digest, sequence);"
	"CREATE INDEX entry_digest ON entry (digest);",
};

const size_t schema_version = ARRAY_SIZE(schema_steps);

#define ENTRY_COLUMNS                                                          \
	"volume, sequence, digest, created, nsec, message, labels, parent,"    \
	" origin, number, consistency, changed, added, size"

const char *const schema_queries[QUERY_COUNT] = {
	[QUERY_BEGIN] = "BEGIN IMMEDIATE",
	[QUERY_COMMIT] = "COMMIT",
	[QUERY_ROLLBACK] = "ROLLBACK",
	[QUERY_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[QUERY_META_SET] = "INSERT INTO meta (key, value) VALUES (?1, ?2)"
			   " ON CONFLICT DO UPDATE SET value = ?2",
	[QUERY_META_REMOVE] = "DELETE FROM meta WHERE key = ?1",
	[QUERY_CHUNK_FIND] = "SELECT pack.digest, offset, length, size"
			     " FROM chunk JOIN pack ON pack.id = chunk.pack"
			     " WHERE chunk.digest = ?1",
	[QUERY_CHUNK_ADD] =
		"INSERT OR IGNORE INTO chunk (digest, pack, offset, length,"
		" size) VALUES (?1, ?2, ?3, ?4, ?5)",
	[QUERY_CHUNK_REMOVE] = "DELETE FROM chunk WHERE pack = ?1",
	[QUERY_CHUNK_COUNT] = "SELECT count(*) FROM chunk WHERE pack = ?1",
	[QUERY_CHUNK_CLEAR] = "DELETE FROM chunk",
	[QUERY_PACK_FIND] = "SELECT id FROM pack WHERE digest = ?1",
	[QUERY_PACK_ADD] = "INSERT INTO pack (digest, bytes, chunks)"
			   " VALUES (?1, ?2, ?3)",
	[QUERY_PACK_REMOVE] = "DELETE FROM pack WHERE id = ?1",
	[QUERY_PACK_TOTALS] =
		"SELECT count(*), total(chunks), total(bytes) FROM pack",
	[QUERY_PACK_LIST] = "SELECT digest FROM pack",
	[QUERY_PACK_CLEAR] = "DELETE FROM pack",
	[QUERY_VERSION_ADD] =
		"INSERT OR IGNORE INTO version (digest, volume, sequence)"
		" VALUES (?1, ?2, ?3)",
	[QUERY_VERSION_REMOVE] = "DELETE FROM version WHERE digest = ?1",
	[QUERY_VERSION_FIND] = "SELECT digest FROM version"
			       " WHERE digest BETWEEN ?1 AND ?2 LIMIT 2",
	[QUERY_VERSION_LIST] = "SELECT digest FROM version",
	[QUERY_VERSION_CLEAR] = "DELETE FROM version",
	[QUERY_LAYER_ADD] =
		"INSERT INTO layer (tar, object, size) VALUES (?1, ?2, ?3)"
		" ON CONFLICT DO UPDATE SET object = ?2, size = ?3",
	[QUERY_LAYER_REMOVE] = "DELETE FROM layer WHERE tar = ?1",
	[QUERY_LAYER_FIND] = "SELECT tar, object, size FROM layer"
			     " WHERE tar BETWEEN ?1 AND ?2 LIMIT 2",
	[QUERY_LAYER_LIST] = "SELECT tar FROM layer",
	[QUERY_LAYER_CLEAR] = "DELETE FROM layer",
	[QUERY_MOUNT_ADD] =
		"INSERT INTO mount (reference, version, path, device, boot_id,"
		" created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[QUERY_MOUNT_SUCCEED] =
		"DELETE FROM mount WHERE device = ?1 AND boot_id = ?2",
	[QUERY_MOUNT_REMOVE] = "DELETE FROM mount WHERE id = ?1",
	[QUERY_MOUNT_LIST] =
		"SELECT id, reference, version, path, device, boot_id, created"
		" FROM mount ORDER BY id",
	[QUERY_CACHE_TOUCH] =
		"INSERT INTO cache (tar, bytes, used) VALUES (?1, ?2, ?3)"
		" ON CONFLICT DO UPDATE SET bytes = ?2, used = ?3",
	[QUERY_CACHE_REMOVE] = "DELETE FROM cache WHERE tar = ?1",
	[QUERY_LISTED_GET] =
		"SELECT sequence, head FROM listed WHERE volume = ?1",
	[QUERY_LISTED_SET] =
		"INSERT OR REPLACE INTO listed (volume, sequence, head)"
		" VALUES (?1, ?2, ?3)",
	[QUERY_LISTED_REMOVE] = "DELETE FROM listed WHERE volume = ?1",
	[QUERY_LISTED_CLEAR] = "DELETE FROM listed",
	[QUERY_ENTRY_ADD] =
		"INSERT OR REPLACE INTO entry (" ENTRY_COLUMNS ") VALUES"
		" (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
		" ?14)",
	[QUERY_ENTRY_REMOVE] = "DELETE FROM entry WHERE volume = ?1",
	[QUERY_ENTRY_CLEAR] = "DELETE FROM entry",
	[QUERY_ENTRY_GET] = "SELECT " ENTRY_COLUMNS " FROM entry"
			    " WHERE volume = ?1 AND sequence = ?2",
	[QUERY_ENTRY_PAGE] =
		"SELECT " ENTRY_COLUMNS " FROM entry WHERE created >= ?1 AND"
		" (created, nsec, digest, volume, sequence) <"
		" (?2, ?3, ?4, ?5, ?6) ORDER BY created DESC, nsec DESC,"
		" digest DESC, volume DESC, sequence DESC LIMIT ?7",
	[QUERY_ENTRY_PAGE_OF] =
		"SELECT " ENTRY_COLUMNS
		" FROM entry WHERE volume = ?5 AND created >= ?1 AND"
		" (created, nsec, digest, sequence) < (?2, ?3, ?4, ?6)"
		" ORDER BY created DESC, nsec DESC, digest DESC,"
		" sequence DESC LIMIT ?7",
	/* Each volume and each version is followed once. */
	[QUERY_ENTRY_RELATED] =
		"WITH RECURSIVE related (volume, digest) AS"
		" (VALUES (?1, NULL) UNION SELECT NULL, entry.digest"
		" FROM related JOIN entry ON entry.volume = related.volume"
		" UNION SELECT entry.volume, NULL"
		" FROM related JOIN entry ON entry.digest = related.digest)"
		" SELECT volume, 0 FROM related WHERE volume IS NOT NULL",
	[QUERY_ENTRY_PLACES] = "SELECT volume, sequence FROM entry"
			       " WHERE digest = ?1 ORDER BY volume, sequence",
};
