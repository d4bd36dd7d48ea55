#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fsck finds each kind of damage, names the versions and files it touches, and
# repairs what the cache or another pack can supply; rebuild makes the catalog
# anew. Damage is exit status 13 as long as it is there.

load helper
load store

key_of() {
	echo "${1#"$STORE"/}"
}

# What fsck says, in $T/found; its status must be $1.
check() {
	local want=$1 got=0

	shift
	layerctl fsck --json "$@" >"$T/found" 2>"$T/said" || got=$?
	[ "$got" = "$want" ] || {
		echo "fsck $* ended with $got instead of $want"
		cat "$T/found" "$T/said"
		return 1
	}
}

# found OBJECT KIND STATE VERSIONS PATHS: the only finding about the object;
# VERSIONS and PATHS are lists as JSON.
found() {
	local is

	is=$(jq -c --arg o "$1" '.findings[] | select(.object == $o) |
		[.kind, .state, .versions, .paths]' "$T/found")
	[ "$is" = "[\"$2\",\"$3\",$4,$5]" ] || {
		echo "[\"$2\",\"$3\",$4,$5] is not what is found of $1:"
		jq -c '.findings[]' "$T/found"
		return 1
	}
}

# The only finding there is.
only() {
	found "$@"
	[ "$(jq '.findings | length' "$T/found")" = 1 ] || {
		jq -c '.findings[]' "$T/found"
		return 1
	}
}

# All versions are what they were, from the store alone.
all_is_whole() {
	check 0 --read-data
	[ "$(jq '.findings | length' "$T/found")" = 0 ]
	forget_cache
	is_version "$T/v.1" v@1
	is_version "$T/v.2" v@2
	is_version "$T/other" other
	check 0 --read-data
}

@test "what is whole has no findings" {
	make_volumes
	check 0
	[ "$(jq -c .findings "$T/found")" = '[]' ]
	[ "$(jq -c '.totals | [.versions, .layers, .findings]' "$T/found")" = \
		'[3,3,0]' ]
	layerctl fsck | grep -qx 'all is well'
	check 0 --read-data
	[ "$(jq .totals.bytes "$T/found")" -gt 150000 ]
	check 0 v
	[ "$(jq .totals.versions "$T/found")" = 2 ]
	check 0 v@1 --read-data
	[ "$(jq .totals.versions "$T/found")" = 1 ]
	check 0 --repair
	layerctl new empty
	check 0 empty
	layerctl mount v "$T/m"
	echo more >"$T/m/more"
	check 0 --read-data
	layerctl commit v
	check 0 --read-data
	layerctl finalize v
}

@test "wrong usage of fsck and rebuild is refused" {
	fails 3 'there is no volume nosuch' layerctl fsck nosuch
	fails 2 'not a volume name' layerctl fsck 'No Such'
	fails 3 'no version 7' bash -c 'layerctl new v && layerctl fsck v@7'
	fails 2 'fsck' layerctl fsck a b
	fails 2 'rebuild' layerctl rebuild a
}

@test "damage that nothing can supply is named with what it touches" {
	local file size both='["v@1","v@2"]'

	make_volumes
	forget_cache
	size=$(stat -c %s "$PACK")
	damage "$PACK" cut
	check 13
	only "$(key_of "$PACK")" damaged lost "$both" '["a","d/f"]'
	check 13 v@1
	only "$(key_of "$PACK")" damaged lost '["v@1"]' '["a","d/f"]'
	check 0 other
	restore "$PACK"
	damage "$PACK" missing
	check 13
	only "$(key_of "$PACK")" missing lost "$both" '["a","d/f"]'
	restore "$PACK"
	# The first chunk has the names and small files, the next ones "d/f".
	damage "$PACK" $((size / 2))
	check 0
	check 13 --read-data
	only "$(key_of "$PACK")" damaged lost "$both" '["d/f"]'
	check 13 --read-data --repair
	found "$(key_of "$PACK")" damaged lost "$both" '["d/f"]'
	fails 13 'nothing here can supply' layerctl fsck --read-data
	restore "$PACK"
	check 13 --read-data
	check 0 --read-data --repair

	file=$(blob_of v@1 object)
	damage "$file" 100
	check 13
	found "$(key_of "$file")" damaged lost "$both" '[]'
	restore "$file"
	file=$(blob_of v@2 manifest)
	damage "$file" missing
	check 13
	only "$(key_of "$file")" missing lost '["v@2"]' '[]'
	damage_again "$file" text
	check 13
	only "$(key_of "$file")" damaged lost '["v@2"]' '[]'
	restore "$file"
	file=$(blob_of v@1 config)
	damage "$file" missing
	check 13
	only "$(key_of "$file")" missing lost '["v@1"]' '[]'
	restore "$file"
	check 0 --read-data
}

# As damage(), of a file that is damaged already.
damage_again() {
	restore "$1"
	damage "$@"
}

@test "damage to records is named, and what is proven is repaired" {
	local file

	make_volumes
	layerctl tag v@1 one
	file=$STORE/volumes/v/head.json
	damage "$file" text
	check 13
	only volumes/v/head.json damaged lost '["v@1","v@2"]' '[]'
	restore "$file"

	for how in missing text; do
		kind=missing
		[ "$how" = missing ] || kind=damaged
		damage "$STORE/volumes/v/2" "$how"
		check 13
		only volumes/v/2 "$kind" repairable '["v@2"]' '[]'
		check 0 --repair
		only volumes/v/2 "$kind" repaired '["v@2"]' '[]'
		cmp "$STORE/volumes/v/2" "$T/good"
		damage "$STORE/volumes/v/1" "$how"
		check 13
		found volumes/v/1 "$kind" repairable '["v@1"]' '[]'
		check 0 --repair
		cmp "$STORE/volumes/v/1" "$T/good"
		check 0
	done
	# Nothing comes after the only version of another volume.
	layerctl fork v@1 w
	layerctl reset w v@2
	damage "$STORE/volumes/w/1" text
	check 13
	only volumes/w/1 damaged lost '["w@1"]' '[]'
	check 13 --repair
	restore "$STORE/volumes/w/1"
	cp "$STORE/volumes/w/1" "$STORE/volumes/w/2"
	check 13
	only volumes/w/head.json wrong lost '["v@2","w"]' '[]'
	rm "$STORE/volumes/w/2"
	check 0 --repair
	is_version "$T/v.2" w
	# A number above the head's is of a seal that was not acknowledged.
	cp "$STORE/volumes/w/1" "$STORE/volumes/w/3"
	check 0
	[ "$(jq .totals.unfinished "$T/found")" = 1 ]
	rm "$STORE/volumes/w/3"

	damage "$STORE/layerd.json" text
	check 13
	only layerd.json damaged lost '[]' '[]'
	restore "$STORE/layerd.json"
	layerctl mount v "$T/m"
	layerctl unmount v
	file=$(echo "$T"/state/sessions/*/session.json)
	damage "$file" text
	check 13
	only "${file#"$T/state/"}" damaged lost '[]' '[]'
	restore "$file"
	check 0
}

@test "a record that is lost is made anew from the numbers" {
	local file=$T/state/store/volumes/v/head.json both='["v@1","v@2"]'

	make_volumes
	layerctl tag v@1 one
	rm "$file"
	check 13
	only volumes/v/head.json missing repairable "$both" '[]'
	[ "$(jq .totals.orphans "$T/found")" = 0 ]
	check 13 v
	only volumes/v/head.json missing repairable "$both" '[]'
	fails 9 'fsck --repair' layerctl gc
	check 0 --repair
	only volumes/v/head.json missing repaired "$both" '[]'
	layerctl gc
	all_is_whole
	# A session goes on.
	layerctl mount v "$T/m"
	echo third >"$T/m/a"
	rm "$file"
	check 0 --repair
	layerctl finalize v -m third
	[ "$(layerctl cat v@3:a)" = third ]
	is_version "$T/v.2" v@2
	# Nothing says what the head was.
	rm "$file"
	echo text >"$STORE/volumes/v/3"
	check 13 --repair
	found volumes/v/head.json missing lost "$both" '[]'
	# The only number of a volume is no less.
	rm "$STORE"/volumes/v/[23]
	check 0 --repair
	found volumes/v/head.json missing repaired '["v@1"]' '[]'
	is_version "$T/v.1" v
	# A fork that was cut short has a record and no number.
	rm "$STORE/volumes/v/1"
	is_version "$T/v.1" v@1
	check 0 --repair
	only volumes/v/1 missing repaired '["v@1"]' '[]'
}

@test "places are made anew from the packs alone" {
	local places how

	make_volumes
	places=layers/$LAYER/places
	forget_cache
	for how in missing 40 text; do
		damage "$STORE/$places" "$how"
		check 13
		found "$places" \
			"$([ "$how" = missing ] && echo missing || echo damaged)" \
			repairable '["v@1","v@2"]' '["a","d/f"]'
		check 0 --repair
		cmp "$STORE/$places" "$T/good"
		check 0 --read-data
	done
	# A wrong offset under a right checksum.
	python3 - "$STORE/$places" <<-'EOF'
		import hashlib, sys
		data = bytearray(open(sys.argv[1], "rb").read())
		packs = int.from_bytes(data[12:16], "little")
		data[56 + 32 * packs + 16 + 8] ^= 1
		data[-32:] = hashlib.sha256(data[:-32]).digest()
		open(sys.argv[1], "wb").write(data)
	EOF
	check 13
	found "$places" wrong repairable '["v@1","v@2"]' '["d/f"]'
	check 0 --repair
	cmp "$STORE/$places" "$T/good"
	all_is_whole
}

# with_cache FILE HOW KIND VERSIONS: a repair takes it from the cache.
with_cache() {
	local key

	key=$(key_of "$1")
	echo "$key: $2"
	damage "$1" "$2"
	check 13 --read-data
	[ "$(jq -c --arg o "$key" '.findings[] | select(.object == $o) |
		[.kind, .state, .versions]' "$T/found")" = \
		"[\"$3\",\"repairable\",$4]" ] || {
		cat "$T/found"
		return 1
	}
	check 0 --read-data --repair
	check 0 --read-data
}

@test "the cache supplies packs and layer objects" {
	local size both='["v@1","v@2"]' object file

	make_volumes
	size=$(stat -c %s "$PACK")
	object=$(blob_of v@1 object)
	with_cache "$PACK" $((size / 2)) damaged "$both"
	with_cache "$PACK" $((size - 1)) damaged "$both"
	with_cache "$PACK" cut damaged "$both"
	with_cache "$PACK" missing missing "$both"
	with_cache "$object" 100 damaged "$both"
	with_cache "$object" missing missing "$both"
	for file in "$PACK" "$object"; do
		damage "$file" directory
		check 13 --repair
		[ -d "$file" ]
		restore "$file"
		check 0 --read-data --repair
	done
	rm -r "$STORE/packs"
	check 13
	check 0 --repair
	all_is_whole
	# What is sealed again finds the new packs.
	layerctl new again --from "$T/src"
	check 0 --read-data
}

@test "another pack supplies a chunk, and the damaged one is left aside" {
	make_volumes
	forget_cache
	# The same file in a pack of its own: one that the catalog did not know.
	mkdir "$T/two"
	cp -p "$T/src/d/f" "$T/two/f"
	mv "$STORE/packs" "$T/packs"
	rm "$T"/state/catalog.db*
	layerctl new two --from "$T/two"
	cp -r "$T/packs/." "$STORE/packs/"
	forget_cache
	rm "$T"/state/catalog.db*
	check 0 --read-data
	damage "$PACK" $(($(stat -c %s "$PACK") / 2))
	check 13 --read-data
	only "$(key_of "$PACK")" damaged repairable '["v@1","v@2"]' '["d/f"]'
	check 0 --read-data --repair
	[ -e "$PACK" ]
	[ -e "$STORE/damaged/$(basename "$PACK")" ]
	[ "$(jq .totals.orphans "$T/found")" = 1 ]
	# Nobody takes chunks from it again, also with a new catalog.
	layerctl rebuild
	layerctl new again --from "$T/src"
	check 0 --read-data
	all_is_whole
	is_version "$T/v.1" again
	# Its right bytes make it a pack like any other.
	cp -p "$T/good" "$PACK"
	check 13 --read-data
	check 0 --read-data --repair
	[ ! -e "$STORE/damaged/$(basename "$PACK")" ]
	check 0 --read-data
}

@test "an index that no mount takes is named with its versions" {
	make_volumes
	layerctl new evil --from "$T/src"
	layerctl fork evil twin
	python3 "$HELPER_DIR/forge.py" "$STORE" evil cycle
	check 13
	# The catalog does not know the forged version either.
	[ "$(jq -c '.findings[] | select(.object != "catalog.db") |
		[.kind, .state, .versions]' "$T/found")" = \
		'["damaged","lost",["evil@1"]]' ]
	jq -r '.findings[].message' "$T/found" | grep 'index'
	check 13 evil
	check 0 twin
}

@test "what is wrong in the cache is dropped" {
	local part

	make_volumes
	for part in tar index layer present; do
		layerctl mount --ro v@1 "$T/m"
		layerctl unmount "$T/m"
		[ -e "$CACHE/$LAYER/$part" ]
		flip "$CACHE/$LAYER/$part" 100
		check 13
		only "cache/$LAYER" damaged repairable '["v@1","v@2"]' '[]'
		check 0 --repair
		[ ! -e "$CACHE/$LAYER" ]
		check 0
	done
	all_is_whole
}

@test "a cached copy stays while the store lacks the layer's data" {
	make_volumes
	rm "$PACK"
	flip "$CACHE/$LAYER/tar" 100000
	check 13 --repair
	found "$(key_of "$PACK")" missing lost '["v@1","v@2"]' '["a","d/f"]'
	found "cache/$LAYER" damaged lost '["v@1","v@2"]' '[]'
	[ -e "$CACHE/$LAYER/tar" ]
	is_version "$T/other" other
	flip "$CACHE/$LAYER/tar" 100000
	check 0 --repair
	all_is_whole
}

# catalog SQL...: runs it on the catalog of a daemon that is down.
catalog() {
	python3 - "$T/state/catalog.db" "$1" <<-'EOF'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		rows = db.execute(sys.argv[2]).fetchall()
		db.commit()
		print(*(row[0] for row in rows))
	EOF
}

# A page that is not looked at when the catalog is opened becomes zeros.
damage_catalog() {
	local page

	shut_down
	page=$(catalog "SELECT rootpage FROM sqlite_schema
		WHERE name = 'chunk_pack'")
	dd if=/dev/zero of="$T/state/catalog.db" bs=4096 seek=$((page - 1)) \
		count=1 conv=notrunc status=none
}

@test "the catalog is put right, row by row or as a whole" {
	local sql chunks

	make_volumes
	chunks=$(layerctl status --json | jq .chunks)
	# test-catalog-check.c has each way in which a row can be wrong.
	for sql in 'DELETE FROM version' 'DELETE FROM layer' \
		'DELETE FROM pack' \
		"INSERT INTO version VALUES (zeroblob(32), 'x', 1)" \
		"INSERT INTO pack VALUES (99, zeroblob(32), 1, 1)"; do
		echo "$sql"
		shut_down
		catalog "$sql"
		check 13
		only catalog.db stale repairable '[]' '[]'
		check 0 --repair
		check 0
		[ "$(layerctl status --json | jq .chunks)" = "$chunks" ]
	done
	damage_catalog
	check 13
	only catalog.db damaged repairable '[]' '[]'
	check 0 --repair
	check 0
	ls "$T"/state/catalog.db.corrupt-*
	[ "$(layerctl status --json | jq .chunks)" = "$chunks" ]
	layerctl show "$(layerctl show v@1 --json | jq -r .version.digest)"
	all_is_whole
}

@test "rebuild makes a catalog anew, damaged or not, and keeps mounts" {
	local before

	make_volumes
	json_is '[3,3,0,false]' '[.packs, .versions, .skipped, .damaged]' \
		layerctl rebuild
	check 0
	damage_catalog
	layerctl mount --ro v@1 "$T/m2"
	before=$(layerctl sessions --json | jq -c '.mounts[].path')
	json_is '[3,3,0,true]' '[.packs, .versions, .skipped, .damaged]' \
		layerctl rebuild
	[ "$(layerctl sessions --json | jq -c '.mounts[].path')" = "$before" ]
	layerctl unmount "$T/m2"
	check 0
	damage "$PACK" cut
	json_is '[2,3,1,false]' '[.packs, .versions, .skipped, .damaged]' \
		layerctl rebuild
	restore "$PACK"
	check 13
	check 0 --repair
	all_is_whole
}

@test "rebuild and fsck go on beside seals" {
	local i pid

	make_volumes
	layerctl mount v "$T/m"
	(
		for i in {1..8}; do
			head -c 100000 /dev/urandom >"$T/m/f$i"
			layerctl -q commit v
		done
	) &
	pid=$!
	for i in {1..4}; do
		layerctl -q rebuild
		check 0 v --read-data
	done
	wait "$pid"
	dump "$T/m" >"$T/v.10"
	layerctl finalize v
	check 0 --read-data --repair
	forget_cache
	is_version "$T/v.10" v@10
	is_version "$T/v.2" v@2
}
