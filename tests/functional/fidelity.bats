# SPDX-License-Identifier: Apache-2.0
#
# A version is what was sealed: every kind of object, and every kind of change.
#
# Changes are made in a mount and, alike, in a plain directory on the disk. The
# new version must be what the mount was, to the nanosecond and the hole, and
# what the directory is, but for the times of the test itself (an overlay and a
# disk are changed one after the other) and for holes (overlayfs' copy-up fills
# small ones).

load helper

rename() {
	python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"
}

exchange() {
	python3 -c '
import ctypes, os, sys
a, b = map(os.fsencode, sys.argv[1:])
if ctypes.CDLL(None, use_errno=True).renameat2(-100, a, -100, b, 2):
    sys.exit(os.strerror(ctypes.get_errno()))' "$@"
}

make_socket() {
	python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1"
}

# Stores into a shared mapping: no write call tells of them.
store_mapped() {
	python3 -c '
import mmap, sys
with open(sys.argv[1], "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
    m[10:16] = b"mapped"
    m.flush()' "$1"
}

random_bytes() {
	python3 -c '
import random, sys
r = random.Random(sys.argv[1])
sys.stdout.buffer.write(r.randbytes(int(sys.argv[2])))' "$1" "$2"
}

# Longer than the 256 bytes overlayfs has for where a directory came from.
deep_directory=$(printf '%040d/' 1 2 3 4 5 6 7 8 9 10 11 12)

# What is below when the changes begin. All times are long past.
make_base() {
	mkdir -p "$1" && cd "$1"
	random_bytes large 8388608 >large
	random_bytes small 500 >small
	cp small untouched
	mkdir -p dir/sub/below dir2 dir3 repl-dir again "$deep_directory/dir" \
		from-below/sub nest/a/b/c ld plain-dir
	for f in dir/a dir/b dir/sub/x dir/sub/below/y dir2/a dir3/a \
		repl-file repl-dir/in again/one again/two from-below/f \
		from-below/sub/f nest/f nest/a/f nest/a/b/f nest/a/b/c/f \
		"$deep_directory/dir/f" .wh.below over1 over2 sockfile \
		plain-dir/f mapped capable; do
		echo "$f" >"$f"
	done
	random_bytes mapped 20000 >mapped
	echo linked >l1 && ln l1 l2 && ln l1 ld/l3
	echo pair >ld/p && ln ld/p ld/q
	random_bytes p1 200000 >p1 && ln p1 p2
	echo gone >g1 && ln g1 g2
	ln -s target s1 && ln s1 s2
	mkfifo fifo
	truncate -s 3M sparse && random_bytes sparse 5000 |
		dd of=sparse bs=1M seek=2 conv=notrunc status=none
	find . -exec touch -h -d '2001-02-03 04:05:06.789012345' {} +
	cd "$T"
}

changes=(
	'true'
	'rm dir/a'
	'rm -r dir2'
	'rm repl-file && mkdir repl-file && echo 1 >repl-file/new'
	'rm -r repl-dir && echo 2 >repl-dir'
	'rm repl-dir && mkdir repl-dir && echo 3 >repl-dir/in2'
	'rm -r again && mkdir again && echo 3 >again/only'
	'rm -r again && mkdir again'
	'echo 4 >again/two'
	'rm -r again'
	'mkdir again && echo 5 >again/one'
	'rename from-below renamed'
	'echo 6 >>renamed/sub/f'
	'rename renamed/sub renamed/sub2'
	'rename renamed/sub2 moved-out'
	'rename moved-out renamed/inner'
	'rename renamed from-below'
	'rm from-below/inner/f'
	'mkdir renamed && echo 7 >renamed/f'
	'rename nest/a/b/c nest/c2; rename nest/a nest/a2; rename nest/a2/b nest/c2/b2'
	'rename nest/c2/b2 nest/a; rm nest/a/f'
	'rename "$deep_directory/dir" other'
	'rename other "$deep_directory/deeper"'
	'chmod 600 large'
	'chown 5:4294967294 large'
	'setfattr -n user.x -v y large'
	'truncate -s 5M large'
	'echo tail >>large'
	'fallocate -p -o 1M -l 2M large'
	'truncate -s 0 small'
	'truncate -s 20M small'
	'fallocate -p -o 0 -l 8K mapped'
	'ln large link-to-large'
	'ln untouched untouched2'
	'echo 8 >>untouched2'
	'rm untouched'
	'echo 9 >>l1'
	'echo 10 >>l2; chmod 604 ld/l3'
	'rm l1'
	'echo 11 >>ld/l3 && rm ld/l3'
	'chmod 640 p1 && rm p1'
	'echo 12 >>p2'
	'echo 13 >>g1 && rename over1 g1'
	'chown -h 3:3 s1 && rm s1'
	'rename ld ld2'
	'echo 14 >>ld2/p'
	'mkdir up && echo u >up/f && ln up/f u2'
	'rename up up2'
	'echo 15 >>u2'
	'rm -r up2'
	'echo w >.wh.new'
	'rm .wh.below'
	'mkdir .wh.dir && echo w >.wh.dir/.wh.f'
	'echo w >from-below/.wh..wh..opq'
	'rename dir .wh.renamed'
	'rename .wh.renamed dir'
	'rm -r .wh.dir'
	'rename over2 small'
	'exchange large dir'
	'exchange dir3 nest'
	'chmod 700 plain-dir && touch -d @-0.5 plain-dir'
	'chmod 711 . && setfattr -n user.root -v 1 .'
	# overlayfs refuses an ACL on what is not copied up when the file system
	# below cannot set one (EOPNOTSUPP, Linux 6.18), hence the chmod.
	'chmod 640 plain-dir/f; setfacl -m u:77:rw,d:u:78:r plain-dir && setfacl -m g:79:r plain-dir/f'
	'setcap cap_net_raw+ep capable'
	'setcap -r capable'
	'chmod 700 plain-dir; chmod 640 plain-dir/f; setfacl -b plain-dir plain-dir/f'
	'store_mapped mapped'
	'echo 16 >sparse2 && dd if=/dev/zero of=sparse bs=4K seek=3 count=1 conv=notrunc status=none'
	'rm sockfile && make_socket sockfile'
	'true'
	'rm -f sockfile'
	'echo back >sockfile'
	'rm fifo && mknod fifo c 1 3'
	'rm fifo && ln -s x fifo'
	'find . -type f -exec touch -d "1969-12-31 23:59:59.5Z" {} +'
	'rm -r -- *'
	'true'
)

# What a mount and a directory on the disk must agree on, of a dump.
rough() {
	awk -v since="$since" '{
		for (i = 1; i <= NF; i++) {
			if ($i ~ /^data=/)
				continue
			if ($i ~ /^mtime=/ && substr($i, 7) + 0 >= since)
				$i = "mtime=new"
			printf "%s%s", $i, i < NF ? " " : "\n"
		}
	}' "$1"
}

# Makes the changes one after the other, with "commit" or "finalize" after each.
make_history() {
	local how=$1 i=1 change
	since=$(($(date +%s%N) - 1000000000))
	make_base "$T/plain"
	dump "$T/plain" >plain.1
	cp plain.1 exact.1
	layerctl new v --from "$T/plain"
	layerctl mount v m
	for change in "${changes[@]}"; do
		i=$((i + 1))
		echo "# $i: $change"
		(cd "$T/plain" && eval "$change")
		(cd "$T/m" && eval "$change")
		dump --no-sockets plain >"plain.$i"
		dump --no-sockets m >"exact.$i"
		layerctl "$how" -q v -m "$change"
		[ "$how" = commit ] || layerctl mount -q v m
	done
	layerctl finalize v
	versions=$i
}

check_history() {
	local i
	for ((i = 1; i <= versions; i++)); do
		layerctl mount -q "v@$i" m
		dump m >now
		umount m
		same_dump "exact.$i" now &&
			same_dump <(rough "plain.$i") <(rough now) || {
			((i == 1)) || echo "version $i: ${changes[i - 2]}"
			return 1
		}
	done
}

@test "a directory with one of everything is the same as a version" {
	make_tree --big plain
	dump --no-sockets plain >want
	layerctl new v --from plain
	layerctl mount v@1 m
	dump m >got
	same_dump want got
	# A session's root starts as the version's.
	layerctl mount v m2
	dump m2 >got
	same_dump want got
}

@test "one of everything made in a mount is the same after a finalize" {
	make_tree --big plain
	layerctl new v
	layerctl mount v m
	make_tree --big m
	dump --no-sockets plain >want
	dump --no-sockets m >got
	same_dump want got
	json_is 2 .sockets layerctl finalize v
	layerctl mount v@1 m
	dump m >got
	same_dump want got
}

@test "each change is in the next version, with a commit after each" {
	make_history commit
	check_history
}

@test "each change is in the next version, with a finalize after each" {
	make_history finalize
	check_history
}

@test "all changes at once are in the next version" {
	local change
	since=$(($(date +%s%N) - 1000000000))
	make_base "$T/plain"
	dump plain >plain.1
	cp plain.1 exact.1
	layerctl new v --from plain
	layerctl mount v m
	# All but the removal of everything.
	for change in "${changes[@]:0:${#changes[@]}-3}"; do
		(cd "$T/plain" && eval "$change")
		(cd "$T/m" && eval "$change")
	done
	dump --no-sockets m >exact.2
	dump --no-sockets plain >plain.2
	layerctl finalize v
	versions=2
	check_history
}

@test "chmod and chown of a large file below copy no data" {
	make_base "$T/plain"
	layerctl new v --from plain
	layerctl mount v m
	chmod 600 m/large
	chown 1:2 m/large
	upper=$(layerctl sessions --json | jq -r '.sessions[0].upper')
	[ "$(stat -c %s "$upper/large")" = 8388608 ]
	[ "$(stat -c %b "$upper/large")" -lt 64 ]
	layerctl commit v
	[ "$(stat -c %b "$upper/large")" -lt 64 ]
	layerctl mount v@2 m2
	cmp plain/large m2/large
	[ "$(stat -c %a:%u:%g m2/large)" = 600:1:2 ]
}

@test "what is written through a descriptor of a deleted name is sealed" {
	mkdir plain
	echo one >plain/a
	ln plain/a plain/b
	layerctl new v --from plain
	layerctl mount v m
	exec 5>>m/a
	rm m/a
	layerctl commit v
	echo two >&5
	exec 5>&-
	[ "$(cat m/b)" = $'one\ntwo' ]
	layerctl commit v
	layerctl finalize v
	layerctl mount v m
	[ "$(cat m/b)" = $'one\ntwo' ]
}

@test "names that are linked below a path of any length stay linked" {
	python3 - plain <<-'E'
		import os, sys
		os.mkdir(sys.argv[1])
		os.chdir(sys.argv[1])
		root = os.open(".", os.O_RDONLY)
		for i in range(30):
		    os.mkdir("d" * 200)
		    os.chdir("d" * 200)
		with open("bottom", "w") as f:
		    f.write("below\n")
		os.link("bottom", "top", dst_dir_fd=root)
		os.link("bottom", "bottom2")
	E
	layerctl new v --from plain
	layerctl mount v m
	echo more >>m/top
	dump m >want
	[ "$(grep -c link= want)" = 2 ]
	layerctl finalize v
	layerctl mount v m
	dump m >got
	same_dump want got
}

@test "equal inode numbers of two file systems are no link" {
	mkdir -p plain/a plain/b
	mount -t tmpfs tmpfs plain/a
	mount -t tmpfs tmpfs plain/b
	for d in a b; do
		echo "$d" >"plain/$d/one"
		ln "plain/$d/one" "plain/$d/two"
	done
	[ "$(stat -c %i plain/a/one)" = "$(stat -c %i plain/b/one)" ]
	dump plain >want
	layerctl new v --from plain
	layerctl mount v m
	dump m >got
	same_dump want got
}

@test "overlay attributes that a user set are kept and mean nothing" {
	layerctl new v
	layerctl mount v m
	mkdir -p m/d
	echo 1 >m/d/f
	layerctl finalize v
	layerctl mount v m
	setfattr -n trusted.overlay.opaque -v y m
	setfattr -n trusted.overlay.opaque -v y m/d
	setfattr -n trusted.overlay.redirect -v /etc m/d
	dump m >want
	grep -q 'trusted.overlay.opaque=y' want
	layerctl finalize v
	layerctl mount v m
	dump m >got
	same_dump want got
	touch m/d/g
	dump m >want
	layerctl finalize v
	layerctl mount v@3 m
	dump m >got
	same_dump want got
}

@test "attributes of up to 65535 bytes are kept, longer ones refused" {
	mkdir plain
	mount -t tmpfs tmpfs plain
	echo f >plain/f
	set_large() {
		python3 -c '
import os, sys
for i in range(3):
    value = os.urandom(int(sys.argv[1]) - i)
    os.setxattr("plain/f", "trusted.large%d" % i, value)
os.setxattr("plain/f", "trusted.small", b"s")' "$1"
	}
	set_large 65536
	# EROFS has 16 bits for the size.
	fails 2 '"f".*longer than 65535 bytes' layerctl new v --from plain
	fails 3 'no volume v' layerctl show v
	set_large 65535
	dump plain >want
	layerctl new v --from plain
	layerctl mount v@1 m
	dump m >got
	same_dump want got
}

@test "a file with more holes than an index has rows for keeps its bytes" {
	mkdir plain
	python3 -c '
import os
fd = os.open("plain/f", os.O_CREAT | os.O_WRONLY)
os.ftruncate(fd, 1 << 30)
for i in range(0, 1 << 30, 1 << 13):
    os.pwrite(fd, b"%d" % i, i)'
	dump --no-holes plain >want
	layerctl new v --from plain
	layerctl mount v m
	dump --no-holes m >got
	same_dump want got
}

@test "files beyond what a tar header's size field holds are kept" {
	mkdir plain
	truncate -s 9G plain/9g
	echo 9 >>plain/9g
	truncate -s 15T plain/15t
	echo 15 >>plain/15t
	truncate -s 10T plain/hole
	touch -d '2001-02-03 04:05:06' plain/*
	layerctl new v --from plain
	layerctl mount v m
	for f in 9g 15t hole; do
		[ "$(stat -c %s:%Y m/$f)" = "$(stat -c %s:%Y plain/$f)" ]
		cmp <(tail -c 100000 m/$f) <(tail -c 100000 plain/$f)
		cmp <(head -c 100000 m/$f) <(head -c 100000 plain/$f)
	done
	layerctl layer verify v
}

@test "times beyond what a disk keeps are kept" {
	local t
	mkdir plain
	mount -t tmpfs tmpfs plain
	for t in -9223372036854775808 9223372036854775807 -62135596800.5 \
		253402300800 -99999999999.000000001 68719476736; do
		touch -d "@$t" "plain/$t"
	done
	touch -d @-99999999999.5 plain
	dump plain >want
	grep -q 'mtime=-9223372036854775808000000000' want
	layerctl new v --from plain
	layerctl mount v@1 m
	dump m >got
	same_dump want got
	layerctl layer verify v
}

@test "a file of thousands of names keeps them all when it is changed" {
	mkdir plain
	echo x >plain/f
	(cd plain && python3 -c '
import os
for i in range(20000):
    os.link("f", "l%d" % i)')
	layerctl new v --from plain
	layerctl mount v m
	echo y >>m/l5
	layerctl commit v
	layerctl mount v@2 m2
	[ "$(find m2 -samefile m2/f | wc -l)" = 20001 ]
	[ "$(cat m2/l19999)" = $'x\ny' ]
}

@test "holes smaller than a block of the index become zeros" {
	mkdir plain
	truncate -s 200M img
	mkfs.ext4 -q -b 1024 img
	mount -o loop img plain
	rmdir plain/lost+found
	python3 -c '
import os
fd = os.open("plain/f", os.O_CREAT | os.O_WRONLY)
for i in range(200):
    os.pwrite(fd, b"%d" % i, i * 3000)
os.ftruncate(fd, 700001)'
	dump --no-holes plain >want
	layerctl new v --from plain
	layerctl mount v@1 m
	dump --no-holes m >got
	same_dump want got
}

@test "a path that is too long is refused and no volume made" {
	python3 - plain <<-'E'
		import os, sys
		os.mkdir(sys.argv[1])
		os.chdir(sys.argv[1])
		for i in range(660):
		    os.mkdir("d" * 99)
		    os.chdir("d" * 99)
		open("f", "w").close()
	E
	fails 2 'cannot be stored: paths are .* at most 65535 bytes' \
		layerctl new v --from plain
	fails 3 'no volume v' layerctl show v
}
