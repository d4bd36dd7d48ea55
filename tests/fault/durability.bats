#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What is sealed survives the daemon's death at any time, and the loss of all
# that a host holds besides the store.

load helper

# As a reboot leaves it: the daemon gone, nothing mounted.
shut_down() {
	daemon_stop
	unmount_all "$T/m"
	unmount_all "$T/m2"
	unmount_all "$T/run"
}

# Files of all sizes, $1 MiB of them large, none of them compressible.
write_much() {
	local i

	mkdir -p "$T/m/$1"
	head -c "$1M" /dev/urandom >"$T/m/$1/large"
	for i in {1..200}; do
		head -c $((i * 97)) /dev/urandom >"$T/m/$1/$i"
	done
	date +%N >"$T/m/changed"
}

@test "a large commit can be killed at any time" {
	local i sequence before commit

	daemon_start
	lc new v
	lc mount v "$T/m"
	write_much 30
	dump "$T/m" >"$T/v.1"
	lc commit v
	for i in {1..10}; do
		write_much $((30 + i))
		dump "$T/m" >"$T/now"
		before=$(head_sequence v)
		lc commit v -m "killed $i" >/dev/null 2>&1 &
		commit=$!
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
		kill -KILL "$DAEMON"
		wait "$DAEMON" || :
		wait "$commit" || :
		daemon_start
		sequence=$(head_sequence v)
		echo "killed, $before was the head and $sequence is"
		[ "$sequence" = "$before" ] || [ "$sequence" = $((before + 1)) ]
		is_tree "$T/now" "$T/m"
		[ "$sequence" = "$before" ] || cp "$T/now" "$T/v.$sequence"
		lc commit v -m "whole $i"
		[ "$(head_sequence v)" -gt "$sequence" ]
		cp "$T/now" "$T/v.$(head_sequence v)"
	done
	lc finalize v
	cp "$T/now" "$T/v.$(head_sequence v)"
	for ((i = 1; i <= $(head_sequence v); i++)); do
		# A number may have been given out for a seal that ended there.
		[ -e "$T/v.$i" ] || continue
		is_version "$T/v.$i" "v@$i"
	done
	verify_volume v
	no_garbage
	daemon_stop
}

@test "without cache and catalog every version is there, and unsealed data" {
	local i stored

	daemon_start
	make_base
	lc fork base@1 other
	lc mount other "$T/m"
	write_much 3
	mv "$T/m/dir" "$T/m/moved"
	rm -r "$T/m/gone"
	lc commit other
	dump "$T/m" >"$T/other.2"
	echo "not sealed" >"$T/m/unsealed"
	rm "$T/m/moved/link"
	dump "$T/m" >"$T/unsealed"
	shut_down
	rm -rf "$T/state/cache" "$T"/state/catalog.db*

	daemon_start
	is_version "$T/base.1" base@1
	is_version "$T/base.2" base@2
	is_version "$T/base.1" other@1
	is_version "$T/other.2" other@2
	[ "$(lc sessions --json | jq -r '.sessions[0].state')" = detached ]
	lc mount other "$T/m"
	is_tree "$T/unsealed" "$T/m"
	stored=$(lc commit other --json | jq .stored)
	echo "$stored bytes stored"
	[ "$stored" -lt 4096 ]
	is_version "$T/unsealed" other@3
	lc finalize other
	verify_volume base
	verify_volume other
	daemon_stop
}

@test "layers that leave the cache while a session is detached come back" {
	daemon_start
	make_base
	lc mount base "$T/m"
	echo "not sealed" >"$T/m/unsealed"
	dump "$T/m" >"$T/unsealed"
	lc unmount base
	shut_down
	find "$T/state/cache" -mindepth 1 -maxdepth 1 -type d |
		head -1 | xargs rm -r
	daemon_start
	lc mount base "$T/m"
	is_tree "$T/unsealed" "$T/m"
	lc finalize base
	is_version "$T/unsealed" base@3
	daemon_stop
}

# The catalog is put aside and the daemon says so; all is as it was.
catalog_is_replaced() {
	local before stored

	before=$(wc -l <"$T/daemon.log")
	daemon_start
	tail -n +$((before + 1)) "$T/daemon.log" |
		grep -q "the catalog was damaged; it was set aside as"
	compgen -G "$T/state/catalog.db.corrupt-*" >/dev/null
	rm "$T"/state/catalog.db.corrupt-*
	is_version "$T/base.1" base@1
	is_version "$T/base.2" base@2
	lc show "$DIGEST" >/dev/null
	lc new "$1" --from "$T/src"
	[ "$(lc status --json | jq .stored)" -lt $((STORED + 4096)) ]
	verify_volume "$1"
}

@test "a damaged catalog is set aside and made anew" {
	local size

	daemon_start
	make_base
	DIGEST=$(lc show base@1 --json | jq -r .version.digest)
	DIGEST=${DIGEST:0:20}
	STORED=$(lc status --json | jq .stored)

	shut_down
	size=$(stat -c %s "$T/state/catalog.db")
	head -c "$size" /dev/urandom >"$T/state/catalog.db"
	catalog_is_replaced random
	shut_down
	truncate -s 1000 "$T/state/catalog.db"
	catalog_is_replaced truncated
	shut_down
	echo "not a database" >"$T/state/catalog.db"
	catalog_is_replaced text
	shut_down
	rm "$T"/state/catalog.db*
	sqlite3 "$T/state/catalog.db" "CREATE TABLE of_others (a)"
	catalog_is_replaced foreign
	shut_down
	head -c 16 /dev/urandom | dd of="$T/state/catalog.db" conv=notrunc \
		status=none
	catalog_is_replaced magic
	shut_down
	# With the journal of another database beside it.
	rm -f "$T"/state/catalog.db-*
	head -c 40000 /dev/urandom >"$T/state/catalog.db-wal"
	daemon_start
	is_version "$T/base.2" base@2
	lc show "$DIGEST" >/dev/null
	daemon_stop
}

@test "a catalog that is wrong about the store costs no version" {
	local pack

	daemon_start
	make_base
	shut_down
	sqlite3 "$T/state/catalog.db" 'UPDATE chunk SET offset = offset + 1'
	daemon_start
	lc new offsets --from "$T/src"
	verify_volume offsets
	is_version "$T/base.1" offsets

	shut_down
	sqlite3 "$T/state/catalog.db" 'UPDATE chunk SET length = length + 1'
	daemon_start
	lc new lengths --from "$T/src"
	verify_volume lengths

	# What it takes for one chunk is another.
	shut_down
	sqlite3 "$T/state/catalog.db" '
		CREATE TEMP TABLE was AS
			SELECT row_number() OVER (ORDER BY digest) AS n, *
			FROM chunk;
		UPDATE chunk SET (pack, offset, length, size) = (
			SELECT b.pack, b.offset, b.length, b.size
			FROM was a, was b WHERE a.digest = chunk.digest AND
			b.n = a.n % (SELECT count(*) FROM was) + 1)'
	daemon_start
	lc new others --from "$T/src"
	verify_volume others

	# A pack that was cut short, or lost.
	shut_down
	rm -rf "$T/state/cache"
	pack=$(find "$T/state/store/packs" -type f -size +100k | head -1)
	truncate -s 100000 "$pack"
	daemon_start
	lc new cut --from "$T/src"
	verify_volume cut
	rm "$pack"
	lc new lost --from "$T/src"
	verify_volume lost
	is_version "$T/base.1" lost
	daemon_stop
}

# A volume, all the way. Stops at what fails.
make_many() {
	lc new "$1" --from "$T/many" &&
		verify_volume "$1" &&
		lc mount "$1@1" "$T/m2" &&
		is_tree "$T/many.1" "$T/m2" &&
		lc unmount "$T/m2"
}

@test "damage inside the catalog is found, and mended by a restart" {
	local page pages refused=0 status

	daemon_start
	mkdir "$T/many"
	for page in {1..60}; do
		head -c 70000 /dev/urandom >"$T/many/$page"
	done
	dump "$T/many" >"$T/many.1"
	lc new many --from "$T/many"
	daemon_stop
	cp "$T/state/catalog.db" "$T/catalog"
	pages=$(($(stat -c %s "$T/catalog") / 4096))
	[ "$pages" -gt 8 ]
	for ((page = 1; page < pages; page++)); do
		rm -f "$T"/state/catalog.db*
		cp "$T/catalog" "$T/state/catalog.db"
		dd if=/dev/urandom of="$T/state/catalog.db" bs=4096 \
			seek="$page" count=1 conv=notrunc status=none
		daemon_start
		status=0
		make_many "page-$page" >"$T/output" 2>&1 || status=$?
		if [ "$status" != 0 ]; then
			cat "$T/output"
			[ "$status" = 9 ]
			grep -q 'catalog.*damaged.*restart layerd' "$T/output"
			refused=$((refused + 1))
			daemon_stop
			daemon_start
			make_many "again-$page"
		fi
		daemon_stop
	done
	echo "$refused of $pages pages were refused"
	[ "$refused" -gt 0 ]
}
