#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# A store without room, or that cannot be written to: the calls that need it are
# refused, nothing is lost, reading goes on, and later the same calls succeed.

load helper

# The store of the test on an ext4 file system of $1 MiB, with a file in it that
# takes $2 MiB and can be removed.
make_store() {
	STORE=$T/state/store
	mkdir -p "$STORE"
	truncate -s "$1M" "$T/store.img"
	mkfs.ext4 -q -m 0 "$T/store.img"
	mount -o loop "$T/store.img" "$STORE" ||
		skip "no loop device could be mounted"
	fallocate -l "$2M" "$STORE/lost+found/filler"
}

make_volume() {
	layerctl -q new v --from /etc/apt
	dump /etc/apt >"$T/v.1"
}

is_version() {
	layerctl -q mount --ro "$2" "$T/m2"
	dump "$T/m2" >"$T/is"
	layerctl -q unmount "$T/m2"
	same_dump "$1" "$T/is"
}

has_tree() {
	dump "$2" >"$T/is"
	same_dump "$1" "$T/is"
}

@test "a full store fails the seal, and the same command succeeds later" {
	make_store 48 32
	make_volume
	layerctl mount v "$T/m"
	head -c 20M /dev/urandom >"$T/m/large"
	echo small >"$T/m/small"
	dump "$T/m" >"$T/v.2"
	fails 7 "the store at $STORE is full.*nothing was lost.*free" \
		layerctl commit v
	no_stages
	json_is 1 '.versions | length' layerctl log v
	is_version "$T/v.1" v@1
	has_tree "$T/v.2" "$T/m"
	echo more >>"$T/m/small"
	dump "$T/m" >"$T/v.2"
	fails 7 "the store at $STORE is full" layerctl finalize v
	no_stages
	json_is '"mounted"' '.sessions[0].state' layerctl sessions
	has_tree "$T/v.2" "$T/m"
	touch "$T/m/still-writable" && rm "$T/m/still-writable"
	dump "$T/m" >"$T/v.2"

	head -c 20M /dev/urandom >"$T/src-file"
	mkdir "$T/src" && mv "$T/src-file" "$T/src/file"
	fails 7 "the store at $STORE is full" layerctl new w --from "$T/src"
	fails 3 'no volume w' layerctl show w

	rm "$STORE/lost+found/filler"
	layerctl finalize v
	is_version "$T/v.2" v@2
	layerctl layer verify v@2
}

@test "without room for records nothing is half made" {
	make_store 16 1
	make_volume
	layerctl mount v "$T/m"
	echo new >"$T/m/new"
	dump "$T/m" >"$T/v.2"
	# To the last block.
	dd if=/dev/zero of="$STORE/lost+found/rest" bs=4k status=none || true
	fails 7 "the store at $STORE is full" layerctl commit v
	fails 7 "the store at $STORE is full" layerctl fork v w
	fails 7 "the store at $STORE is full" layerctl new w
	fails 7 "the store at $STORE is full" layerctl new w --from /etc/apt
	[ "$(layerctl ls)" = v ]
	json_is 1 '.versions | length' layerctl log v
	has_tree "$T/v.2" "$T/m"
	layerctl unmount v
	rm "$STORE/lost+found/rest" "$STORE/lost+found/filler"
	layerctl mount v "$T/m"
	has_tree "$T/v.2" "$T/m"
	layerctl finalize v
	is_version "$T/v.2" v@2
	layerctl fork v w
	is_version "$T/v.2" w
}

@test "a session can be discarded while the store cannot be written to" {
	make_store 16 1
	make_volume
	layerctl mount v "$T/m"
	echo new >"$T/m/new"
	mount -o remount,ro "$STORE"
	layerctl unmount v --discard
	json_is '[]' .sessions layerctl sessions
	is_version "$T/v.1" v
	fails 8 "the store at $STORE is read-only" layerctl mount v "$T/m"
	mount -o remount,rw "$STORE"
	layerctl mount v "$T/m"
	has_tree "$T/v.1" "$T/m"
	layerctl finalize v
}

@test "a full cache fails the seal, and the same command succeeds later" {
	make_volume
	stop_daemon
	unmount_all "$T/run"
	rm -rf "$T/state/cache"
	truncate -s 32M "$T/cache.img"
	mkfs.ext4 -q -m 0 "$T/cache.img"
	mkdir "$T/state/cache"
	mount -o loop "$T/cache.img" "$T/state/cache" ||
		skip "no loop device could be mounted"
	fallocate -l 20M "$T/state/cache/lost+found/filler"
	layerctl mount v "$T/m"
	head -c 12M /dev/urandom >"$T/m/large"
	dump "$T/m" >"$T/v.2"
	fails 7 'cache.*nothing was lost' layerctl commit v
	no_stages
	has_tree "$T/v.2" "$T/m"
	fails 7 'cache.*nothing was lost' layerctl finalize v
	no_stages
	has_tree "$T/v.2" "$T/m"
	rm "$T/state/cache/lost+found/filler"
	layerctl finalize v
	is_version "$T/v.2" v@2

	# Now of a layer that is to be fetched.
	stop_daemon
	unmount_all "$T/run"
	rm -rf "$T"/state/cache/[0-9a-f]*
	fallocate -l 20M "$T/state/cache/lost+found/filler"
	fails 7 'cache.*no room for layer.*nothing was lost' \
		layerctl mount v@2 "$T/m"
	no_stages
	rm "$T/state/cache/lost+found/filler"
	is_version "$T/v.2" v@2
	stop_daemon
}

@test "a store that cannot be written to is read from" {
	make_store 64 1
	make_volume
	layerctl new busy
	layerctl mount busy "$T/m"
	echo kept >"$T/m/kept"
	dump "$T/m" >"$T/busy.1"
	mount -o remount,ro "$STORE"
	for command in 'commit busy' 'finalize busy' 'fork v w' 'new w' \
		'new w --from /etc/apt' "mount v $T/m2"; do
		fails 8 "the store at $STORE is read-only.*nothing was lost" \
			layerctl $command
	done
	[ "$(layerctl ls)" = $'busy\nv' ]
	layerctl show v
	layerctl log v
	is_version "$T/v.1" v
	layerctl layer verify v
	has_tree "$T/busy.1" "$T/m"
	echo more >>"$T/m/kept"
	dump "$T/m" >"$T/busy.1"

	# A daemon that starts on it, without a cache.
	layerctl unmount busy
	stop_daemon
	unmount_all "$T/run"
	rm -rf "$T/state/cache" "$T"/state/catalog.db*
	is_version "$T/v.1" v@1
	fails 8 "the store at $STORE is read-only" layerctl new w
	mount -o remount,rw "$STORE"
	layerctl mount busy "$T/m"
	has_tree "$T/busy.1" "$T/m"
	layerctl finalize busy
	is_version "$T/busy.1" busy@1
}

@test "the upper directory without room is the writer's own error" {
	truncate -s 48M "$T/state.img"
	mkfs.ext4 -q -m 0 "$T/state.img"
	mkdir "$T/state"
	mount -o loop "$T/state.img" "$T/state" ||
		skip "no loop device could be mounted"
	make_volume
	layerctl mount v "$T/m"
	echo first >"$T/m/first"
	dd if=/dev/urandom of="$T/m/large" bs=64k status=none || true
	dump "$T/m" >"$T/v.2"
	fails 7 'nothing was (lost|sealed)' layerctl commit v
	has_tree "$T/v.2" "$T/m"
	json_is 1 '.versions | length' layerctl log v
	# The tarball, its packs and what is in the upper each take this much.
	truncate -s 10M "$T/m/large"
	dump "$T/m" >"$T/v.2"
	layerctl finalize v
	is_version "$T/v.2" v@2
	stop_daemon
	unmount_all "$T/run"
}
