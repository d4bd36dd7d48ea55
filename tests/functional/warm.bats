# SPDX-License-Identifier: Apache-2.0
#
# What a fresh mount takes over from the page cache.

load helper

# How much of a file is in the page cache, bytes.
resident() {
	fincore --bytes --noheadings --output RES "$1" | tr -d ' '
}

# Most of a file: the kernel may take a page back at any time.
is_warm() {
	[ "$(resident "$1")" -ge $(($2 * 3 / 4)) ]
}

# Takes the tarball of a volume's topmost layer out of the page cache, but for
# a page here and there that somebody has a hold on.
evict() {
	local tar
	tar=$(layerctl show "$1" --json |
		jq -r '.version.layers[-1].digest | ltrimstr("sha256:")')
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)' "state/cache/$tar/tar"
}

@test "a file that is in memory as a tarball soon is as a file" {
	mkdir src
	head -c 8M /dev/urandom >src/large
	head -c 4K /dev/urandom >src/small
	layerctl new hot --from src
	layerctl mount hot@1 m
	wait_for 'is_warm m/large $((8 << 20))'
	[ "$(resident m/small)" = 0 ]
	cmp src/large m/large
}

@test "a sparse file is copied right" {
	mkdir src
	truncate -s 8M src/sparse
	head -c 1M /dev/urandom |
		dd of=src/sparse bs=1M seek=3 conv=notrunc status=none
	layerctl new hot --from src
	layerctl mount hot@1 m
	wait_for 'is_warm m/sparse $((1 << 20))'
	cmp src/sparse m/sparse
}

@test "what is on the disk only is not read for it" {
	mkdir src
	head -c 8M /dev/urandom >src/large
	layerctl new cold --from src
	head -c 8M /dev/urandom >src/large
	layerctl new hot --from src
	evict cold
	layerctl mount cold@1 m
	# Images take their turn.
	layerctl mount hot@1 m2
	wait_for 'is_warm m2/large $((8 << 20))'
	[ "$(resident m/large)" -lt $((1 << 20)) ]
}

images() {
	grep -c "$T/run/lower/" /proc/self/mountinfo
}

@test "a version that is mounted again soon is still in memory" {
	mkdir src
	head -c 8M /dev/urandom >src/large
	layerctl new hot --from src
	layerctl mount hot@1 m
	cat m/large >/dev/null
	layerctl unmount m
	[ "$(images)" = 1 ]
	evict hot
	layerctl mount hot@1 m
	is_warm m/large $((8 << 20))
}

@test "an image that is being copied is let go of at once" {
	mkdir src
	head -c 64M /dev/urandom >src/large
	layerctl new hot --from src
	layerctl mount hot@1 m
	layerctl unmount m
	layerctl gc
	[ "$(images)" = 0 ]
	layerctl mount hot@1 m
	wait_for 'is_warm m/large $((64 << 20))'
}

@test "an image that nothing uses ends with the daemon" {
	mkdir src
	echo x >src/file
	layerctl new cold --from src
	layerctl mount cold@1 m
	layerctl unmount m
	[ "$(images)" = 1 ]
	stop_daemon
	[ "$(images)" = 0 ]
}

@test "what comes into the cache anew is mounted anew" {
	local tar
	mkdir src
	echo right >src/file
	layerctl new cold --from src
	layerctl mount cold@1 m
	layerctl unmount m
	# Of the file that the image is on nothing is right any more.
	tar=$(echo state/cache/*/tar)
	head -c "$(stat -c %s "$tar")" /dev/zero |
		dd of="$tar" conv=notrunc status=none
	rm "$tar"
	layerctl mount cold@1 m
	[ "$(cat m/file)" = right ]
}
