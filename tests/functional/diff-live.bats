# SPDX-License-Identifier: Apache-2.0
#
# Comparing with a live mount. random.bats compares what is said of random
# histories with what is said of the versions once they are committed.

load helper
load differences

# What the mount is said to differ in is what the versions are said to differ in
# once it is committed.
same_once_committed() {
	local before=$1
	layerctl diff --json m >live
	layerctl diff --json --no-renames m >live-plain
	layerctl commit v
	layerctl diff --json "$before" v >sealed
	layerctl diff --json --no-renames "$before" v >sealed-plain
	diff sealed live
	diff sealed-plain live-plain
	[ "$(layerctl diff m)" = "" ]
}

@test "diff of a mount names what was changed since it was mounted" {
	make_volume
	[ "$(layerctl diff m)" = "" ]
	[ "$(layerctl diff --stat v)" = "no differences" ]
	change_mount
	all_differences >want
	layerctl diff m >got
	diff want got
	layerctl diff "$T/m" >got
	diff want got
	layerctl diff v >got
	diff want got
	(cd m && layerctl diff .) >got
	diff want got
	layerctl diff --no-renames m | grep -qx 'D  moved/old-name'
	layerctl diff --stat m |
		grep -qx '2 added, 3 removed, 7 changed, 1 renamed; .*'
	layerctl diff --name-only v | grep -qx 'added/file'
	same_once_committed v@1
}

@test "diff follows each commit of a mount that goes on" {
	make_volume
	change_mount
	layerctl commit v
	[ "$(layerctl diff m)" = "" ]
	echo more >>m/content
	rm m/added/file
	layerctl diff m >got
	diff - got <<-'E'
		D  added/file
		M  content  (content, time)
	E
	same_once_committed v@2
	# Back to what was committed before: nothing is left to tell.
	cp -p m/content kept
	echo x >m/content
	cp -p kept m/content
	[ "$(layerctl diff m)" = "" ]
}

@test "diff of any version and a mount, in both directions" {
	make_volume
	change_mount
	layerctl commit v
	layerctl tag v@2 second
	echo live >m/live
	rm m/content
	layerctl fork v@1 w
	for reference in v@1 v@2 v v:second w; do
		layerctl diff --json "$reference" m >"there-$reference"
		layerctl diff --json m "$reference" >"back-$reference"
	done
	layerctl commit v
	for reference in v@1 v@2 v@2 v:second w; do
		layerctl diff --json "$reference" v@3 | diff - "there-$reference"
		layerctl diff --json v@3 "$reference" | diff - "back-$reference"
	done
	cmp there-v there-v@2
}

@test "a place in the mount, or behind the reference, restricts a diff" {
	make_volume
	change_mount
	[ "$(layerctl diff m/content)" = "M  content  (content, time)" ]
	[ "$(layerctl diff m/added)" = $'A  added/\nA  added/file' ]
	[ "$(cd m/added && layerctl diff .)" = $'A  added/\nA  added/file' ]
	[ "$(layerctl diff v:/added)" = $'A  added/\nA  added/file' ]
	[ "$(layerctl diff v@1:gone m)" = $'D  gone/\nD  gone/file' ]
	[ "$(layerctl diff m v@1:gone)" = $'A  gone/\nA  gone/file' ]
	[ "$(layerctl diff v@1:added m/added)" = $'A  added/\nA  added/file' ]
	[ "$(layerctl diff --stat m/moved)" = \
		"1 removed; 21 B became 0 B" ]
	fails 2 'different paths' layerctl diff v@1:gone m/added
	fails 3 'neither version has "nowhere"' layerctl diff v@1:nowhere m
	mkdir bound
	mount --bind m/added bound
	[ "$(layerctl diff bound)" = $'A  added/\nA  added/file' ]
	[ "$(layerctl diff bound/file)" = "A  added/file" ]
	umount bound
}

@test "a detached session can be compared" {
	make_volume
	change_mount
	layerctl diff --json m >mounted
	layerctl unmount v
	layerctl diff --json v | diff mounted -
	layerctl diff --content v:/content | grep -qx -- '+other'
	mkdir m/sub
	fails 3 'not in a writable mount' layerctl diff m/sub
	reboot
	layerctl diff --json v | diff mounted -
	layerctl mount v m
	layerctl diff --json m | diff mounted -
}

@test "every name of a linked file that was changed through one shows" {
	mkdir src src/D
	echo base >src/a
	ln src/a src/b
	ln src/a src/D/c
	echo alone >src/x
	ln src/x src/y
	layerctl new v --from src
	layerctl mount v m
	echo more >>m/b
	diff - <(layerctl diff m) <<-'E'
		M  D/c  (content, time)
		M  a  (content, time)
		M  b  (content, time)
	E
	same_once_committed v@1
	# Changed through a name that is gone.
	echo more >>m/x
	rm m/x
	diff - <(layerctl diff --no-renames m) <<-'E'
		D  x
		M  y  (content, time)
	E
	same_once_committed v@2
	chmod 600 m/a
	diff - <(layerctl diff m) <<-'E'
		M  D/c  (mode)
		M  a  (mode)
		M  b  (mode)
	E
	same_once_committed v@3
}

@test "moved, opaque and replaced directories are what they show" {
	mkdir -p src/{a/deep,b,c,d}
	for i in a/one a/deep/two b/three c/four d/five; do
		echo "$i has its text" >"src/$i"
	done
	layerctl new v --from src
	layerctl mount v m
	mv m/a m/A
	chmod 600 m/A/deep/two
	rm -r m/b
	mkdir m/b
	echo new >m/b/six
	rm -r m/c
	echo file >m/c
	setfattr -n trusted.overlay.opaque -v y m/d
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("m/s")'
	diff - <(layerctl diff m) <<-'E'
		A  A/
		A  A/deep/
		R  a/deep/two -> A/deep/two  (mode)
		R  a/one -> A/one
		D  a/
		D  a/deep/
		A  b/six
		D  b/three
		M  c  (type)
		D  c/four
		M  d/  (xattr)
	E
	same_once_committed v@1
	mv m/A m/a
	rm m/a/one
	same_once_committed v@2
}

@test "content tells files of one size and time apart, and others not" {
	mkdir src
	head -c 3M /dev/urandom >src/large
	cp src/large src/same
	truncate -s 1G src/sparse
	printf data | dd of=src/sparse bs=1M seek=500 conv=notrunc status=none
	layerctl new v --from src
	layerctl mount v m
	printf '\0x' | dd of=m/large bs=1 seek=1M conv=notrunc status=none
	touch -r src/large m/large
	touch m/same
	chmod 600 m/sparse
	diff - <(layerctl diff m) <<-'E'
		M  large  (content)
		M  same  (time)
		M  sparse  (mode)
	E
	same_once_committed v@1
}

# Fails when a daemon that does nothing else reads 8 MiB for the differences.
diff_reads_little() {
	stop_daemon
	layerctl diff m
	[ "$(sed -n 's/^rchar: //p' "/proc/$(daemon_pid)/io")" -lt $((8 << 20)) ]
}

@test "a file of which attributes alone were changed is compared unread" {
	mkdir -p src/dir
	head -c 64M /dev/urandom >src/dir/large
	layerctl new v --from src
	layerctl mount v m
	chmod 600 m/dir/large
	[ "$(diff_reads_little)" = "M  dir/large  (mode)" ]
	layerctl commit v
	chmod 644 m/dir/large
	[ "$(diff_reads_little)" = "M  dir/large  (mode)" ]
	touch m/dir/large
	[ "$(diff_reads_little)" = "M  dir/large  (mode, time)" ]
	# Moved, it is one that vanished and one that has its content.
	mv m/dir/large m/dir/moved
	layerctl diff m | grep -qx 'R  dir/large -> dir/moved  (mode)'
	same_once_committed v@2
}

@test "--content shows the lines of live files" {
	make_volume
	change_mount
	layerctl diff --content m/content >got
	sed -i 's/sha256:[0-9a-f]*/DIGEST/' got
	diff - got <<-'E'
		M  content  (content, time)
		--- DIGEST:content
		+++ m/content:content
		@@ -1 +1 @@
		-content
		+other
	E
	layerctl diff --content v@1:content m >got
	diff - got <<-'E'
		M  content  (content, time)
		--- v@1:content
		+++ m:content
		@@ -1 +1 @@
		-content
		+other
	E
	layerctl diff --content m v@1:content | grep -qx -- '-other'
	layerctl diff --content m/added | grep -qx -- '+new'
	layerctl diff --content v:/gone | grep -qx -- '-gone'
}

@test "a volume that was never committed differs by all it has" {
	layerctl new v
	layerctl mount v m
	[ "$(layerctl diff m)" = "" ]
	echo text >m/file
	[ "$(layerctl diff m)" = "A  file" ]
	layerctl diff --content m | grep -qx -- '+text'
	layerctl commit v
	[ "$(layerctl diff m)" = "" ]
}

@test "names of any bytes are compared" {
	make_volume
	echo data >$'m/a \xff\n\\b'
	[ "$(layerctl diff m)" = 'A  a \xff\x0a\x5cb' ]
	[ "$(layerctl diff $'m/a \xff\n\\b')" = 'A  a \xff\x0a\x5cb' ]
	layerctl diff --content m | grep -qx -- '+data'
}

@test "what cannot be compared is refused with the reason" {
	make_volume
	mkdir elsewhere
	fails 3 'elsewhere is not in a writable mount' layerctl diff ./elsewhere
	fails 3 'does not exist' layerctl diff ./nowhere
	fails 3 'no volume w' layerctl diff w
	fails 3 'no volume w' layerctl diff w m
	fails 2 'v@1 is a version' layerctl diff v@1
	fails 2 'v@1 is a version' layerctl diff v@1:/etc
	fails 2 'two mounts' layerctl diff m m
	layerctl mount --ro v m2
	fails 3 'not in a writable mount' layerctl diff m2
	layerctl unmount m2
	layerctl unmount --discard v
	fails 3 'not mounted for writing' layerctl diff v
}

@test "options that would be ignored are refused" {
	make_volume
	for form in stat name-only content; do
		fails 2 "json and --$form" layerctl diff --json --$form v@1 v
	done
	fails 2 'stat and --content' layerctl diff --content --stat v@1 v
	fails 2 'stat and --name-only' layerctl diff --stat --name-only v@1 v
	fails 2 'name-only and --content' layerctl diff --content --name-only m
	fails 2 'recursive needs a REF' layerctl ls -R
	fails 2 'move needs a TAG' layerctl tag --move v
	layerctl tag v@1 one
	fails 2 'move needs a TAG' layerctl tag --move --delete v:one
	json_is '"one"' '.tags[0].name' layerctl tag v
}

@test "a commit waits for a diff no longer than the comparison" {
	make_volume
	mkdir m/many
	for ((i = 0; i < 3000; i++)); do
		echo >"m/many/a-name-of-some-length-for-a-long-answer-$i"
	done
	mkfifo out
	layerctl diff --name-only m >out &
	exec 5<out
	read -r first <&5
	[ "$first" = many/ ]
	# Nobody reads on; the session is free all the same.
	layerctl commit v
	[ "$(wc -l <&5)" = 3000 ]
	exec 5<&-
	wait
}
