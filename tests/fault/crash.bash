# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The daemon is killed at every step that each operation reaches. Afterwards
# every version is the one it was, the head is the old or the new one, what was
# not sealed is there, the repeated call succeeds, and nothing is left behind.

# Of each operation: what it begins with (prepare_), what is done (run_), and
# what must hold and be possible afterwards (check_); $V is the volume's name.

load helper

# The volume "many" with as many layers as a version can have.
make_many() {
	local i

	lc new many
	lc mount many "$T/m"
	for i in {1..32}; do
		echo "$i" >"$T/m/$i"
		lc commit many -m "$i"
	done
	dump "$T/m" >"$T/many"
	lc finalize many
}

# The head is the version that $1 is the tree of, or one that was sealed later.
check_head() {
	local sequence

	sequence=$(head_sequence "$V")
	[ "$sequence" = 1 ] || [ "$sequence" = 2 ]
	is_version "$1" "$V@1"
	[ "$sequence" = 1 ] || is_version "$T/new" "$V@2"
}

check_usable() {
	lc mount "$V" "$T/m"
	echo usable >"$T/m/usable"
	lc finalize "$V"
	no_garbage
}

prepare_commit() {
	prepare_on base@2
}

run_commit() {
	lc commit "$V" -m "the new one"
}

check_commit() {
	check_head "$T/base.2"
	check_session
	lc finalize "$V"
	check_usable
}

prepare_finalize() {
	prepare_on base@2
}

run_finalize() {
	lc finalize "$V" -m "the new one"
}

check_finalize() {
	check_head "$T/base.2"
	if has_session "$V"; then
		is_mounted "$T/m" || lc mount "$V" "$T/m"
		is_tree "$T/new" "$T/m"
		run_finalize
	fi
	not_mounted "$T/m"
	is_version "$T/new" "$V"
	verify_volume "$V"
	check_usable
}

prepare_squash() {
	prepare_on many
}

run_squash() {
	run_commit
}

check_squash() {
	check_head "$T/many"
	check_session
	[ "$(lc show "$V" --json | jq '.version.layers | length')" -lt 32 ]
	lc finalize "$V"
	check_usable
}

prepare_new() {
	rm -rf "$T/tree" && mkdir "$T/tree"
	change "$T/tree"
}

run_new() {
	lc new "$V" --from "$T/tree" -m "the first"
}

check_new() {
	lc show "$V" >/dev/null 2>&1 || run_new
	dump "$T/tree" >"$T/new"
	is_version "$T/new" "$V"
	verify_volume "$V"
	check_usable
}

prepare_empty() {
	:
}

run_empty() {
	lc new "$V"
}

check_empty() {
	lc ls | grep -qx "$V" || run_empty
	check_usable
}

prepare_fork() {
	:
}

run_fork() {
	lc fork base@2 "$V"
}

check_fork() {
	lc show "$V" >/dev/null 2>&1 || run_fork
	is_version "$T/base.2" "$V"
	check_usable
}

prepare_rename() {
	lc fork base@2 "$V"
	lc reset "$V" base@1
	lc tag "$V@1" stable
	lc label "$V@1" best=true
}

run_rename() {
	lc rename "$V" "$V-new"
}

# It has one name, whatever was asked for first.
check_rename() {
	local names

	names=$(lc ls | grep -x -e "$V" -e "$V-new")
	[ "$(wc -l <<<"$names")" = 1 ]
	[ "$names" = "$V-new" ] || run_rename
	[ "$(lc ls | grep -x -e "$V" -e "$V-new")" = "$V-new" ]
	lc new "$V"
	not lc log "$V" >/dev/null 2>&1
	V=$V-new
	[ "$(head_sequence "$V")" = 2 ]
	is_version "$T/base.1" "$V"
	is_version "$T/base.2" "$V:stable"
	is_version "$T/base.2" "$V@1"
	[ "$(lc show "$V@1" --json | jq -r .version.labels.best)" = true ]
	[ ! -e "$T/state/store/volumes/${V%-new}/1" ]
	check_usable
}

prepare_mount() {
	lc fork base@2 "$V"
}

run_mount() {
	lc mount "$V" "$T/m"
}

check_mount() {
	is_mounted "$T/m" || run_mount
	is_tree "$T/base.2" "$T/m"
	change "$T/m"
	dump "$T/m" >"$T/new"
	check_session
	lc unmount "$V" --discard
	check_usable
}

prepare_discard() {
	prepare_on base@2
}

run_discard() {
	lc unmount "$V" --discard
}

check_discard() {
	! has_session "$V" || run_discard
	not_mounted "$T/m"
	[ "$(head_sequence "$V")" = 1 ]
	is_version "$T/base.2" "$V"
	check_usable
}

prepare_fetch() {
	:
}

while_down_fetch() {
	find "$T/state/cache" -mindepth 1 -delete
}

run_fetch() {
	lc mount base@2 "$T/m2"
}

check_fetch() {
	is_mounted "$T/m2" || run_fetch
	is_tree "$T/base.2" "$T/m2"
	lc unmount "$T/m2"
	is_version "$T/base.1" base@1
	no_garbage
}

prepare_start() {
	:
}

while_down_start() {
	rm -f "$T"/state/catalog.db*
}

run_start() {
	:
}

check_start() {
	local digest

	digest=$(lc show base@1 --json | jq -r .version.digest)
	lc show "${digest:0:20}"
	is_version "$T/base.1" base@1
	[ "$(lc status --json | jq .chunks)" -gt 0 ]
}

# Damage that takes each way of a repair: a pack and a layer object that the
# cache has, places, a number, and a layer in the cache.
prepare_fsck() {
	rm -rf "$T/tree" && mkdir "$T/tree"
	echo "$V" >"$T/tree/file"
	head -c 300000 /dev/urandom >"$T/tree/random"
	lc new "$V" --from "$T/tree"
	dump "$T/tree" >"$T/new"
}

while_down_fsck() {
	local store=$T/state/store pack layer

	pack=$(find "$store/packs" -type f -printf '%T@ %p\n' | sort -n |
		tail -1 | cut -d' ' -f2)
	truncate -s 100000 "$pack"
	rm "$store/volumes/$V/1"
	layer=$(find "$store/layers" -name places -printf '%T@ %p\n' |
		sort -n | tail -1 | cut -d' ' -f2)
	echo text >"$layer"
	layer=$(basename "$(dirname "$layer")")
	rm "$store/blobs/sha256/$(sha256sum "$T/state/cache/$layer/layer" |
		cut -d' ' -f1)"
	for layer in "$T"/state/cache/*/present; do
		[ "$layer" -nt "$T/tree" ] || touch "${layer%present}tar"
	done
}

run_fsck() {
	lc fsck --repair --read-data
}

check_fsck() {
	run_fsck
	lc fsck --read-data
	find "$T/state/cache" -mindepth 1 -maxdepth 1 -name '[0-9a-f]*' \
		-exec rm -r {} +
	is_version "$T/new" "$V"
	is_version "$T/base.1" base@1
	verify_volume "$V"
	check_usable
	lc mount --ro base "$T/m2"
	lc unmount "$T/m2"
}

prepare_rebuild() {
	:
}

run_rebuild() {
	lc rebuild
}

check_rebuild() {
	check_start
	lc fsck
	run_rebuild
	lc fsck
}

# $V with two versions, the first one tagged; the second is $T/new.
prepare_rm() {
	prepare_on base@2
	lc finalize "$V"
	lc tag "$V@1" old
}

run_rm() {
	lc rm "$V:old"
}

check_rm() {
	is_version "$T/new" "$V@2"
	! lc show "$V:old" >/dev/null 2>&1 || run_rm
	not lc show "$V@1"
	lc gc
	is_version "$T/new" "$V@2"
	verify_volume "$V"
	check_usable
}

prepare_remove() {
	prepare_rm
	lc tag --delete "$V:old"
}

run_remove() {
	lc rm "$V"
}

check_remove() {
	if lc show "$V" >/dev/null 2>&1; then
		is_version "$T/base.2" "$V@1"
		is_version "$T/new" "$V@2"
		run_remove
	fi
	not lc show "$V@1"
	lc new "$V"
	lc gc
	not lc show "$V@1"
	check_usable
	[ "$(head_sequence "$V")" = 1 ]
	is_version "$T/base.2" base
}

# A volume of its own, removed; of what it had "base" needs a part.
prepare_gc() {
	prepare_new
	cp -r "$T/src/dir/deep" "$T/tree"
	run_new
	dump "$T/tree" >"$T/new"
	lc rm "$V"
}

run_gc() {
	lc gc
}

check_gc() {
	is_version "$T/base.1" base@1
	verify_volume base
	run_gc
	[ "$(lc gc --dry-run --json | jq '.bytes + .cached')" = 0 ]
	find "$T/state/store/gc" -type f | not grep .
	is_version "$T/base.2" base
	verify_volume base
	# The same data once more.
	run_new
	is_version "$T/new" "$V"
	verify_volume "$V"
	lc rm "$V"
	run_gc
	no_garbage
}

prepare_restore() {
	rm -rf "$T/out"
}

run_restore() {
	lc restore base@2 "$T/out"
}

check_restore() {
	lc restore base@2 "$T/out" --overwrite
	is_tree "$T/base.2" "$T/out"
	no_garbage
}

prepare_replace() {
	prepare_restore
	lc restore base@1 "$T/out"
}

run_replace() {
	lc restore base@2 "$T/out" --overwrite
}

check_replace() {
	check_restore
}

while_down() {
	daemon_stop
	if [ "$(type -t "while_down_$1")" = function ]; then
		"while_down_$1"
	fi
}

first_and_last() {
	awk '{
		if (++n[$1] == 1)
			print $1 ":1"
	} END {
		for (i in n)
			if (n[i] > 1)
				print i ":" n[i]
	}'
}

# Writes the steps that an operation reaches to $T/list, each as NAME:N for its
# Nth time. Of "commit" all; of others the first and the last time of each name,
# and not those of writing any object or file where they have their own around.
# The first time does not count: what it stores, later ones find there.
list_steps() {
	local round

	for round in 1 2; do
		V=$1-all$round
		rm -f "$T/steps"
		"prepare_$1"
		while_down "$1"
		daemon_start LAYERD_FAULT_LOG="$T/steps"
		"run_$1"
		daemon_stop
		daemon_start
		"check_$1"
	done
	cat "$T/steps" >>"$T/reached"
	case $1 in
	commit)
		awk '{ print $1 ":" ++n[$1] }' "$T/steps"
		;;
	finalize | squash | new | discard | fsck)
		grep -vE '^(store-|file\.)' "$T/steps" | first_and_last
		;;
	*)
		first_and_last <"$T/steps"
		;;
	esac >"$T/list"
	rm "$T/steps"
	[ -s "$T/list" ]
}

# By SIGKILL, that is 137.
killed() {
	local status=0

	"$@" || status=$?
	[ "$status" = 137 ]
}

kill_at() {
	"prepare_$1"
	while_down "$1"
	if daemon_start LAYERD_FAULT="$2"; then
		"run_$1" >"$T/output" 2>&1 || :
	fi
	killed daemon_wait
	daemon_start
	"check_$1"
}

kill_everywhere() {
	local step n=0

	daemon_start
	make_base
	[ "$1" != squash ] || make_many
	no_garbage
	list_steps "$1"
	while read -r step; do
		echo "$1 is killed at $step"
		V=$1-$((++n))
		kill_at "$1" "$step"
	done <"$T/list"
	daemon_stop
}
