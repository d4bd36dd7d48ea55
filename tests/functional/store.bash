# SPDX-License-Identifier: Apache-2.0
#
# What tests that damage a store share.

# The volume v with two versions, dumped to $T/v.1 and $T/v.2, and another one.
# Nothing is mounted afterwards; all is in the cache.
make_volumes() {
	STORE=$T/state/store
	CACHE=$T/state/cache
	mkdir -p "$T/src/d"
	head -c 150000 /dev/urandom >"$T/src/d/f"
	head -c 3000 /dev/urandom >"$T/src/a"
	mkfifo "$T/src/p"
	setfattr -n trusted.overlax.redirect -v /x "$T/src/d"
	layerctl new v --from "$T/src" -m first
	dump "$T/src" >"$T/v.1"
	PACK=$(find "$STORE/packs" -type f)
	layerctl mount v "$T/m"
	echo second >"$T/m/a"
	dump "$T/m" >"$T/v.2"
	layerctl finalize v -m second
	layerctl new other --from /etc/apt
	dump /etc/apt >"$T/other"
	LAYER=$(layerctl show v@1 --json | jq -r '.version.layers[0].digest')
	LAYER=${LAYER#sha256:}
}

forget_cache() {
	shut_down
	rm -rf "$T/state/cache"
}

shut_down() {
	stop_daemon
	unmount_all "$T/m"
	unmount_all "$T/m2"
	unmount_all "$T/run"
}

# The path of a version's manifest, of its config or of its last layer object.
blob_of() {
	local manifest pick

	manifest=$(layerctl show "$1" --json | jq -r .version.digest)
	manifest=$STORE/blobs/sha256/${manifest#sha256:}
	case $2 in
	manifest)
		echo "$manifest"
		return
		;;
	config)
		pick=.config.digest
		;;
	object)
		pick='.annotations["io.layerd.layer-objects"]'
		;;
	esac
	pick=$(jq -r "$pick" "$manifest" | grep -o '[0-9a-f]\{64\}' | tail -1)
	echo "$STORE/blobs/sha256/$pick"
}

# flip FILE OFFSET: another byte there.
flip() {
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf '%02x' $((byte ^ 255)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# damage FILE HOW: HOW is an offset to flip a byte at, or one of these words.
damage() {
	cp -p "$1" "$T/good"
	case $2 in
	[0-9]*) flip "$1" "$2" ;;
	cut) truncate -s $(($(stat -c %s "$1") / 2)) "$1" ;;
	empty) truncate -s 0 "$1" ;;
	longer) echo >>"$1" ;;
	missing) rm "$1" ;;
	directory) rm "$1" && mkdir "$1" ;;
	link) rm "$1" && ln -s "$T/good" "$1" ;;
	text) echo text >"$1" ;;
	esac
}

restore() {
	rm -rf "$1"
	cp -p "$T/good" "$1"
}

is_version() {
	layerctl mount --ro "$2" "$T/m2"
	dump "$T/m2" >"$T/is"
	layerctl unmount "$T/m2"
	same_dump "$1" "$T/is"
}
