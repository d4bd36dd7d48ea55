#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What is damaged, missing, forged or swapped in the store or in the cache is
# refused with its name; wrong bytes are never shown, the rest goes on, and with
# the right bytes back all is as it was.

load helper
load store

make_uncached() {
	make_volumes
	forget_cache
}

# refused PATTERN FILE HOW COMMAND...: with the file damaged the command fails
# as "corrupt data" with the pattern in its sentence.
refused() {
	local pattern=$1 file=$2 how=$3

	shift 3
	echo "${file#"$STORE"/}: $how"
	damage "$file" "$how"
	fails 9 "$pattern" "$@"
	restore "$file"
}

nothing_is_left() {
	json_is '[]' .sessions layerctl sessions
	json_is '[]' .mounts layerctl sessions
	no_stages
	! findmnt -n "$T/m" >/dev/null
}

all_is_well() {
	nothing_is_left
	is_version "$T/v.1" v@1
	is_version "$T/v.2" v
	is_version "$T/other" other
}

@test "a damaged pack is named with its layer, and its bytes are not shown" {
	local how size

	make_uncached
	size=$(stat -c %s "$PACK")
	for how in 0 5 100 $((size / 4)) $((size / 2)) $((size * 3 / 4)) \
		empty cut missing; do
		refused "layer $LAYER.*$(basename "$PACK")" "$PACK" "$how" \
			layerctl mount v@1 "$T/m"
		refused "$(basename "$PACK")" "$PACK" "$how" \
			layerctl layer verify "$LAYER"
	done
	for how in directory link; do
		refused "$(basename "$PACK") is no plain file" "$PACK" "$how" \
			layerctl mount v@1 "$T/m"
	done
	damage "$PACK" 5
	fails 9 "layer $LAYER" layerctl mount v "$T/m"
	fails 9 "layer $LAYER" layerctl layer tar v@1
	is_version "$T/other" other
	restore "$PACK"
	all_is_well
}

@test "a damaged layer object is refused" {
	local object how size

	make_uncached
	object=$(blob_of v@1 object)
	size=$(stat -c %s "$object")
	for how in 0 8 30 100 $((size / 2)) $((size - 1)) empty cut longer \
		text missing; do
		refused "$LAYER.*$(basename "$object")" "$object" "$how" \
			layerctl mount v@1 "$T/m"
	done
	refused "$(basename "$object")" "$object" 100 \
		layerctl layer verify "$LAYER"
	refused "$(basename "$object")" "$object" 100 layerctl layer ls v@1
	cp "$object" "$T/good"
	cp "$(blob_of other object)" "$object"
	fails 9 "$(basename "$object")" layerctl mount v@1 "$T/m"
	restore "$object"
	all_is_well
}

@test "a damaged manifest or config is refused" {
	local kind file name size how

	make_uncached
	for kind in manifest config; do
		file=$(blob_of v@2 "$kind")
		name=$(basename "$file")
		size=$(stat -c %s "$file")
		for how in 0 20 $((size / 2)) $((size - 1)) empty cut longer \
			text missing; do
			refused "$name" "$file" "$how" layerctl show v@2
			refused "$name" "$file" "$how" \
				layerctl mount v@2 "$T/m"
			refused "$name" "$file" "$how" \
				layerctl mount v "$T/m"
		done
		damage "$file" 20
		fails 9 "$name" layerctl log v
		fails 9 "$name" layerctl fork v new
		layerctl ls -l
		is_version "$T/v.1" v@1
		is_version "$T/other" other
		restore "$file"
	done
	fails 3 'no volume new' layerctl show new
	all_is_well
}

@test "damaged places are refused" {
	local places how size

	make_uncached
	places=$STORE/layers/$LAYER/places
	size=$(stat -c %s "$places")
	for how in 0 8 40 $((size / 2)) $((size - 1)) empty cut longer text \
		missing; do
		refused "layers/$LAYER/places" "$places" "$how" \
			layerctl mount v@1 "$T/m"
	done
	refused "$LAYER" "$places" 40 layerctl layer verify "$LAYER"
	cp "$places" "$T/good"
	cp "$(find "$STORE/layers" -name places ! -path "*$LAYER*" |
		head -1)" "$places"
	fails 9 "$LAYER" layerctl mount v@1 "$T/m"
	restore "$places"
	all_is_well
}

@test "a damaged record costs its volume, and only as long as it is" {
	local record how

	make_uncached
	record=$STORE/volumes/v/head.json
	layerctl mount v "$T/m"
	echo kept >"$T/m/kept"
	for how in 0 10 40 empty cut text directory; do
		refused 'volumes/v/head.json' "$record" "$how" layerctl show v
		refused 'volumes/v/head.json' "$record" "$how" \
			layerctl commit v
		damage "$record" "$how"
		layerctl ls | grep -qx other
		layerctl ls | grep -qx v
		fails 9 'volumes/v/head.json' layerctl fork v@1 new
		fails 9 'volumes/v/head.json' layerctl new v --from "$T/src"
		is_version "$T/other" other
		restore "$record"
	done
	damage "$record" text
	fails 9 'volumes/v/head.json' layerctl new v
	restore "$record"
	cp -p "$record" "$T/good"
	cp "$STORE/volumes/other/head.json" "$record"
	fails 9 'volumes/v/head.json' layerctl commit v
	restore "$record"
	[ "$(cat "$T/m/kept")" = kept ]
	dump "$T/m" >"$T/v.3"
	layerctl finalize v
	is_version "$T/v.3" v@3
	all_is_well_but_head
}

all_is_well_but_head() {
	nothing_is_left
	is_version "$T/v.1" v@1
	is_version "$T/v.2" v@2
	is_version "$T/other" other
}

@test "a damaged sequence object costs that number" {
	local object how

	make_uncached
	object=$STORE/volumes/v/1
	for how in 0 8 70 empty cut longer text; do
		refused 'volumes/v/1' "$object" "$how" layerctl show v@1
		refused 'volumes/v/1' "$object" "$how" \
			layerctl mount v@1 "$T/m"
	done
	damage "$object" missing
	fails 3 'volume v has no version 1' layerctl mount v@1 "$T/m"
	is_version "$T/v.2" v
	restore "$object"
	all_is_well
}

@test "a store without its right layerd.json is not opened" {
	local config how

	make_uncached
	config=$STORE/layerd.json
	for how in 0 empty cut text missing directory; do
		damage "$config" "$how"
		fails 1 "$STORE.*layerd.json" layerd --foreground
		fails 12 'layerd.json' layerctl ls
		restore "$config"
	done
	cp "$config" "$T/good"
	sed 's/"format":1/"format":2/' "$T/good" >"$config"
	fails 1 "$STORE: the store has format 2" layerd --foreground
	sed 's/"average":[0-9]*/"average":1/' "$T/good" >"$config"
	fails 1 "$STORE.*other chunking parameters" layerd --foreground
	restore "$config"
	all_is_well
}

# forged DEFECT: the version evil@1 has it, and is refused.
forged() {
	echo "$1"
	cp -p "$STORE/volumes/evil/head.json" "$T/head"
	cp -p "$STORE/volumes/evil/1" "$T/first"
	python3 "$HELPER_DIR/forge.py" "$STORE" evil "$1"
	fails 9 "layer $LAYER: .*index" layerctl mount evil@1 "$T/m"
	fails 9 "layer $LAYER: .*index" layerctl mount evil "$T/m"
	fails 9 'index' layerctl layer verify evil@1
	cp -p "$T/head" "$STORE/volumes/evil/head.json"
	cp -p "$T/first" "$STORE/volumes/evil/1"
}

# One daemon for all; it is killed where the kernel would be given an image.
@test "a hostile index is refused before the kernel sees it" {
	local defect pid

	make_uncached
	layerctl new evil --from "$T/src"
	forget_cache
	LAYERD_FAULT=mount.image layerctl ls
	pid=$(daemon_pid)
	for defect in $(python3 "$HELPER_DIR/forge.py" --list); do
		forged "$defect"
	done
	nothing_is_left
	[ "$(daemon_pid)" = "$pid" ]
	fails 12 'closed the connection' layerctl mount evil@1 "$T/m"
	wait_gone "$pid"
	is_version "$T/v.1" evil@1
}

@test "a hostile index for a layer that is mounted already is refused" {
	local pid

	make_uncached
	layerctl new evil --from "$T/src"
	layerctl mount v@1 "$T/m2"
	stop_daemon
	LAYERD_FAULT=mount.image layerctl ls
	pid=$(daemon_pid)
	forged cycle
	forged redirect
	[ "$(daemon_pid)" = "$pid" ]
	dump "$T/m2" >"$T/is"
	same_dump "$T/v.1" "$T/is"
	layerctl unmount "$T/m2"
	shut_down
	all_is_well
}

# A volume with a detached session on two layers A and B whose tarballs have one
# size; $T/session is what the session shows.
make_session() {
	CACHE=$T/state/cache
	mkdir "$T/src"
	head -c 100000 /dev/urandom >"$T/src/f"
	layerctl new v --from "$T/src"
	A=$(layerctl show v --json | jq -r '.version.layers[0].digest[7:]')
	layerctl mount v "$T/m"
	head -c 100000 /dev/urandom >"$T/m/f"
	layerctl finalize v
	B=$(layerctl show v --json | jq -r '.version.layers[1].digest[7:]')
	[ "$(stat -c %s "$CACHE/$A/tar")" = "$(stat -c %s "$CACHE/$B/tar")" ]
	layerctl mount v "$T/m"
	echo kept >"$T/m/kept"
	dump "$T/m" >"$T/session"
	layerctl unmount v
	shut_down
}

swap() {
	mv "$1" "$T/swapped"
	mv "$2" "$1"
	mv "$T/swapped" "$2"
}

# Either refused by name or right.
session_is_right() {
	local status=0

	layerctl mount v "$T/m" >"$T/output" 2>&1 || status=$?
	cat "$T/output"
	if [ "$status" = 9 ]; then
		grep -qE "$A|$B" "$T/output"
		rm -rf "$CACHE"/*
		layerctl mount v "$T/m"
	else
		[ "$status" = 0 ]
	fi
	dump "$T/m" >"$T/is"
	same_dump "$T/session" "$T/is"
	layerctl unmount v
	shut_down
}

@test "a session is never shown on swapped or missing layers" {
	make_session
	echo "indexes swapped"
	swap "$CACHE/$A/index" "$CACHE/$B/index"
	session_is_right
	echo "tarballs swapped"
	swap "$CACHE/$A/tar" "$CACHE/$B/tar"
	session_is_right
	echo "a copy of another tarball"
	cp "$CACHE/$A/tar" "$CACHE/$B/tar"
	session_is_right
	echo "directories swapped"
	swap "$CACHE/$A" "$CACHE/$B"
	session_is_right
	echo "markers swapped"
	swap "$CACHE/$A/present" "$CACHE/$B/present"
	session_is_right
	echo "all but the markers swapped"
	swap "$CACHE/$A" "$CACHE/$B"
	swap "$CACHE/$A/present" "$CACHE/$B/present"
	session_is_right
	echo "a layer is missing"
	rm -r "$CACHE/${A:?}"
	session_is_right
	echo "a tarball is missing"
	rm "$CACHE/$B/tar"
	session_is_right
	echo "an index is empty"
	truncate -s 0 "$CACHE/$A/index"
	session_is_right
	echo "a link in place of a tarball"
	mv "$CACHE/$A/tar" "$T/tar"
	ln -s "$T/tar" "$CACHE/$A/tar"
	session_is_right
	echo "a file in place of a layer"
	rm -r "$CACHE/${B:?}"
	echo text >"$CACHE/$B"
	session_is_right
}

@test "a layer below a session that is in neither cache nor store is named" {
	make_session
	rm -rf "$CACHE"
	mv "$T/state/store/packs" "$T/packs"
	fails 9 "layer ($A|$B).*pack" layerctl mount v "$T/m"
	json_is '"detached"' '.sessions[0].state' layerctl sessions
	fails 9 "layer ($A|$B).*pack" layerctl commit v
	mv "$T/packs" "$T/state/store/packs"
	session_is_right
}

@test "sealing the data again makes up for a pack that is known to be damaged" {
	local pack
	mkdir src
	head -c 1M /dev/urandom >src/f
	layerctl new v --from src
	pack=$(find "$T/state/store/packs" -type f)
	flip "$pack" 300000
	rm -r "$T"/state/cache/*
	fails 9 "$(basename "$pack")" layerctl layer verify v
	layerctl new w --from src
	layerctl layer verify w
	layerctl layer verify v
	layerctl mount w@1 "$T/m"
	cmp src/f m/f
}
