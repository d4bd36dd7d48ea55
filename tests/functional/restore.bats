#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# restore REF[:PATH] DEST: what a mount of the version shows, on disk.

load helper

NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# Two layers over one another, with names, links and attributes changed.
make_versions() {
	make_tree tree
	layerctl -q new v --from tree
	layerctl -q mount v m
	rm -r m/sizes/0 m/modes m/dirs/huge
	mkdir m/modes
	echo other >m/sizes/1
	ln m/sizes/511 m/sizes/zz-linked
	setfattr -n user.new -v value m/xattrs/user
	mv m/symlinks m/moved
	truncate -s 3M m/sizes/new-sparse
	echo data | dd of=m/sizes/new-sparse bs=1 seek=1M conv=notrunc status=none
	layerctl -q commit v
	layerctl -q unmount v
}

# As a mount of the version shows it.
expect() {
	layerctl -q mount --ro "$1" m2
	dump "m2/${2:-}" >want
	layerctl -q unmount m2
}

restored() {
	dump "$1" >got
	same_dump want got
}

# The tool and the daemon's socket within nobody's reach.
let_nobody_in() {
	"${NOBODY[@]}" test -x "$BUILD/tools/layerctl" ||
		skip "nobody cannot reach $BUILD"
	chmod 755 "$T"
	chmod 711 "$T/run"
	chmod 666 "$T/run/layerd.sock"
}

@test "what is restored is what a mount of the version shows" {
	make_versions
	expect v
	layerctl restore v out >said
	restored out
	grep -qE '^v restored to out: [0-9]+ names, ' said
	expect v@1
	mkdir out1
	json_is "$(wc -l <want)" .entries layerctl restore v@1 out1/
	restored out1
	json_is '[0,0,0,0,0]' '[.omitted[]]' \
		layerctl restore v@1 --overwrite out1
	restored out1
}

@test "a path is restored as cp would copy it" {
	mkdir -p tree/dir/below tree/sizes
	echo one >tree/dir/below/one
	ln tree/dir/below/one tree/dir/linked
	setfattr -n user.a -v b tree/dir
	head -c 65537 /dev/urandom >tree/sizes/65537
	chmod 4710 tree/sizes/65537
	ln -s self tree/self
	mkfifo tree/fifo
	layerctl -q new v --from tree
	expect v dir
	layerctl -q restore v:/dir out
	restored out
	mkdir into
	layerctl -q restore v@1:dir/ into
	restored into
	layerctl -q restore v:/sizes/65537 file
	cmp file tree/sizes/65537
	[ "$(stat -c '%y %a' file)" = "$(stat -c '%y %a' tree/sizes/65537)" ]
	layerctl -q restore v:/sizes/65537 into
	cmp into/65537 tree/sizes/65537
	layerctl -q restore v:/self link
	[ "$(readlink link)" = self ]
	layerctl -q restore v:/fifo fifo
	[ -p fifo ]
	mkdir here
	cd here
	layerctl -q restore v:/dir/linked .
	cmp linked ../tree/dir/linked
}

@test "what is in the way is left alone, or replaced when that is asked for" {
	mkdir -p src/dir/below src/empty out/dir/below out/other
	echo new >src/file
	echo new >src/dir/file
	ln src/file src/linked
	echo one >src/was-a-directory
	mkdir src/was-a-file
	layerctl -q new v --from src
	expect v
	echo old >out/file
	ln out/file out/other/linked
	echo kept >out/other/kept
	echo old >out/linked
	echo old >out/was-a-file
	mkdir out/was-a-directory
	dump out >before
	fails 4 'out is not empty; --overwrite' layerctl restore v out
	fails 4 'out is not empty' layerctl restore v:/ out
	fails 4 'out/file exists; --overwrite' layerctl restore v:/file out
	fails 4 'out/file exists; --overwrite' layerctl restore v:/file out/file
	fails 4 'out/file exists; --overwrite' layerctl restore v:/dir out/file
	dump out | same_dump before /dev/stdin
	layerctl -q restore --overwrite v out
	[ "$(cat out/other/linked out/other/kept)" = $'old\nkept' ]
	rm -r out/other
	touch -d "$(stat -c %y src)" out
	restored out

	mkdir -p out2/was-a-directory/full
	fails 4 'out2/was-a-directory is a directory with something in it' \
		layerctl restore --overwrite v out2
	[ -d out2/was-a-directory/full ]
	rmdir out2/was-a-directory/full
	layerctl -q restore --overwrite v out2
	restored out2
}

@test "misuse is refused and makes nothing" {
	mkdir src
	echo a >src/a
	layerctl -q new v --from src
	layerctl -q new empty
	fails 3 'no volume w' layerctl restore w out
	fails 3 'has no version 9' layerctl restore v@9 out
	fails 3 'v has no "nowhere"' layerctl restore v:/nowhere out
	fails 3 'v has no "a/b"' layerctl restore v:/a/b out
	fails 3 'empty' layerctl restore empty out
	fails 2 'restore needs DEST' layerctl restore v
	fails 2 'what to write to is empty' layerctl restore v ''
	fails 3 'cannot open the directory no/such' layerctl restore v no/such/dir
	[ ! -e out ] && [ ! -e no ]
	fails 1 'cannot open the directory src/a' layerctl restore v:/a src/a/b
	python3 - "$T/run/layerd.sock" <<-'E'
		import json, socket, sys
		def call(**parameters):
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    s.sendall(json.dumps({"method": "io.layerd.Restore",
		                          "parameters": parameters}).encode() + b"\0")
		    reply = json.loads(recv(s))
		    return reply["error"], reply["parameters"]["message"]
		def recv(s):
		    data = b""
		    while not data.endswith(b"\0"):
		        data += s.recv(65536)
		    return data[:-1]
		for name in ("..", ".", "a/b", "", "a\\x00b", "a\\"):
		    error, text = call(reference="v", to="out", name=name)
		    assert error == "io.layerd.InvalidArgument", (name, error)
		    assert "name" in text, text
		error, text = call(reference="v", to="out")
		assert "no descriptor" in text, text
	E
}

# Whatever is planted at names of the version leads nowhere.
@test "links that are in DEST are not followed" {
	mkdir -p src/dir src/sub outside
	echo mine >src/dir/file
	echo mine >src/file
	echo mine >src/sub/file
	ln src/file src/zz-linked
	ln -s target src/link
	mkfifo src/fifo
	layerctl -q new v --from src
	expect v
	echo precious >outside/file
	chmod 640 outside/file
	mkdir out
	ln -s "$T/outside" out/dir
	ln -s "$T/outside/file" out/file
	ln -s "$T/outside/file" out/zz-linked
	ln -s "$T/outside/file" out/link
	ln outside/file out/fifo
	mkdir out/sub
	ln -s ../../outside/file out/sub/file
	dump outside | sed 's/ link=.*//' >before
	layerctl -q restore --overwrite v out
	dump outside | sed 's/ link=.*//' | same_dump before /dev/stdin
	restored out
	# A DEST that is a link itself is what the caller says.
	mkdir real
	ln -s real alias
	layerctl -q restore v alias
	restored real
}

# Somebody who may write in DEST puts links in the place of its directories all
# the time.
@test "a DEST that changes under its feet leads nowhere" {
	mkdir -p src outside
	for i in $(seq 200); do
		mkdir "src/d$i"
		echo x >"src/d$i/victim"
	done
	layerctl -q new v --from src
	echo precious >outside/victim
	dump outside >before
	mkdir out
	python3 - "$T" <<-'E' &
		import os, sys
		os.chdir(sys.argv[1])
		n = 0
		while not os.path.exists("stop"):
		    for i in range(1, 201):
		        try:
		            os.rename("out/d%d" % i, "out/gone%d" % n)
		            os.symlink(sys.argv[1] + "/outside", "out/d%d" % i)
		        except OSError:
		            pass
		        n += 1
	E
	racer=$!
	for i in 1 2 3 4 5 6; do
		layerctl restore --overwrite v out >/dev/null 2>&1 || true
	done
	touch stop
	wait "$racer"
	dump outside | same_dump before /dev/stdin
}

@test "who is not root gets what may be theirs, and a count of the rest" {
	mkdir -p src/dir src/closed
	echo data >src/file
	chown 5:6 src/file
	chmod 6755 src/file
	ln src/file src/linked
	chmod 2775 src/dir
	chown 7:7 src/dir
	mknod src/dir/null c 1 3
	mknod src/dir/disk b 7 0
	mkfifo src/dir/fifo
	echo x >src/attributes
	setfattr -n user.kept -v 1 src/attributes
	setfattr -n trusted.lost -v 1 src/attributes
	setcap cap_net_raw+ep src/attributes
	chmod 444 src/attributes
	echo y >src/closed/file
	ln src/closed/file src/zz-linked
	chmod 500 src/closed
	layerctl -q new v --from src
	let_nobody_in
	mkdir -m 777 theirs
	cd theirs
	nobody=("${NOBODY[@]}" "$BUILD/tools/layerctl")
	"${nobody[@]}" restore v out --json >reply
	[ "$(jq -cS .omitted reply)" = \
		'{"attributes":2,"devices":2,"directories":0,"links":0,"set_ids":2}' ]
	[ -z "$(find out ! \( -uid 65534 -gid 65534 \))" ]
	[ -z "$(find out -perm /6000)" ]
	[ "$(find out | sort)" = "$(find ../src ! -name null ! -name disk |
		sed 's,^../src,out,' | sort)" ]
	[ "$(stat -c %a:%h out/file out/dir out/closed out/attributes)" = \
		$'755:2\n775:2\n500:2\n444:1' ]
	[ "$(getfattr -m - out/attributes | sed 1d)" = user.kept ]
	[ "$(stat -c %Y out/file out/dir out)" = \
		"$(cd ../src && stat -c %Y file dir .)" ]
	# Once more over what has modes that keep its owner out.
	"${nobody[@]}" restore v --overwrite out 2>said
	grep -q 'left out 2 devices' said
	grep -q "left out 2 files' setuid or setgid bits" said
	[ "$(stat -c %a out/closed)" = 500 ]

	# Where they may not write the daemon does not, either.
	mkdir -m 755 ../roots
	fails 6 'cannot write ../roots/file: Permission denied' \
		"${nobody[@]}" restore v:/file ../roots
	fails 6 'cannot make ../roots/new: Permission denied' \
		"${nobody[@]}" restore v ../roots/new
	echo precious >../roots/file
	fails 6 'Permission denied' \
		"${nobody[@]}" restore --overwrite v:/file ../roots/file
	[ "$(cat ../roots/file)" = precious ]
	# A directory of somebody else's keeps its attributes.
	mkdir -m 777 ../shared
	"${nobody[@]}" restore --overwrite v ../shared --json >reply
	[ "$(jq .omitted.directories reply)" = 1 ]
	[ "$(stat -c %U:%a ../shared)" = root:777 ]
	# The daemon itself is what it was.
	layerctl -q restore v "$T/roots-own"
	[ "$(stat -c %u:%g:%a "$T/roots-own/file")" = 5:6:6755 ]
}

# FUSE lets a process in by all its user ids, and the daemon's are root's.
@test "a FUSE mount that keeps the daemon out is told, with what helps" {
	local nobody

	[ -c /dev/fuse ] || skip "there is no /dev/fuse"
	mkdir src own
	echo data >src/file
	layerctl -q new v --from src
	let_nobody_in
	nobody=("${NOBODY[@]}" "$BUILD/tools/layerctl")
	python3 "$HELPER_DIR/own-fuse.py" own 65534 3>&- &
	wait_for "${NOBODY[*]} test -f own/file"
	for to in own own/new own/file; do
		fails 6 'own.*is on a FUSE file system.*-o allow_other' \
			"${nobody[@]}" restore --overwrite v:/file "$to"
	done
	fails 6 'own.*is on a FUSE file system.*-o allow_other' \
		"${nobody[@]}" export v --oci own
	fails 6 'the output is on a FUSE file system.*-o allow_other' \
		"${NOBODY[@]}" sh -c "'$BUILD/tools/layerctl' export v >>own/file"
	# Another refusal is what it is.
	mkdir -m 700 ours
	fails 6 'Permission denied' "${nobody[@]}" restore v ours/new
	umount own
	wait
}

@test "a default ACL of DEST does not get into what is restored" {
	mkdir -p src/dir
	echo a >src/file
	echo b >src/dir/file
	chmod 640 src/file
	layerctl -q new v --from src
	expect v
	mkdir out
	setfacl -d -m u:1234:rwx out
	chmod g+s out
	chgrp 99 out
	layerctl -q restore v out
	restored out
}

@test "a full disk names the file, and the rest is completed later" {
	mkdir -p src/a src/z
	head -c 3M /dev/urandom >src/a/first
	head -c 20M /dev/urandom >src/m-large
	echo end >src/z/last
	layerctl -q new v --from src
	expect v
	truncate -s 16M small.img
	mkfs.ext4 -q -m 0 small.img
	mkdir small
	mount -o loop small.img small ||
		skip "no loop device could be mounted"
	fails 7 'cannot write small/out/m-large: No space.*--overwrite completes' \
		layerctl restore v small/out
	umount small
	truncate -s 64M small.img
	e2fsck -fp small.img >/dev/null
	resize2fs small.img >/dev/null 2>&1
	mount -o loop small.img small
	fails 4 'small/out is not empty' layerctl restore v small/out
	layerctl -q restore --overwrite v small/out
	restored small/out
	umount small
}

# Which one it is the machine's cores decide; the last one is past them all.
@test "a restore that gets too few threads fails, and the next one does not" {
	local i n

	mkdir src
	echo data >src/file
	layerctl -q new v --from src
	expect v
	for n in 1 2 3 4 5 6 7; do
		stop_daemon
		export LAYERD_FAULT=restore.thread:$n LAYERD_FAULT_ERRNO=11
		timeout 60 layerctl restore v out 2>said || {
			grep -q 'cannot start a thread' said
			unset LAYERD_FAULT LAYERD_FAULT_ERRNO
			layerctl -q restore v out --overwrite
		}
		restored out
		rm -r out
	done
}

# Linux allows user.* on files and directories alone.
@test "attributes that an archive has in the wrong place are left out" {
	python3 "$HELPER_DIR/make-archive.py" misplaced-attributes a.tar
	layerctl -q new v --from a.tar
	json_is 2 .omitted.attributes layerctl restore v out
	[ "$(readlink out/link)" = file ]
	[ -p out/fifo ]
	[ "$(getfattr -n user.x --only-values out/file)" = y ]
}

# The tool's sentence, whatever ended the daemon, and a part that is less than
# all: then the rest.
is_part() {
	grep -q 'overwrite completes' said
	[ "$(find out | wc -l)" -lt "$(wc -l <want)" ]
}

completes() {
	stop_daemon 2>/dev/null || true
	unset LAYERD_FAULT LAYERD_FAULT_ERRNO
	layerctl -q restore v out --overwrite
	restored out
	rm -r out
}

# What a daemon that was killed leaves, beside what only looks like that.
@test "of temporary files a restore takes away its own and no others" {
	mkdir -p src/dir
	echo new >src/file
	echo new >src/dir/file
	layerctl -q new v --from src
	mkdir -p out/dir
	echo old >out/file
	echo old >out/dir/file
	stop_daemon
	LAYERD_FAULT=restore.replace:2 \
		not layerctl restore v out --overwrite 2>said
	left=$(find out -name '.layerd-*' -print -quit)
	[ -f "$left" ]
	other=out
	[ "${left%/*}" != out ] || other=out/dir
	[[ $left == *0 ]] && digit=1 || digit=0
	# In another directory, longer, shorter, one digit changed, or of a kind
	# of its own.
	kept=("$other/${left##*/}" "${left}0" "${left%?}" "${left%?}$digit"
		out/.layerd-0123456789abcdef)
	for i in "${kept[@]}"; do
		echo mine >"$i"
	done
	stop_daemon 2>/dev/null || true
	layerctl -q restore v out --overwrite
	[ ! -e "$left" ]
	for i in "${kept[@]}"; do
		[ "$(cat "$i")" = mine ]
	done
	rm "${kept[@]}"
	[ "$(find out | wc -l)" = 4 ]
	[ "$(cat out/file out/dir/file)" = $'new\nnew' ]
}

@test "what was interrupted is completed by the next restore" {
	mkdir -p tree/a tree/b tree/closed
	(cd tree && seq -f 'a/%g' 3000 | xargs touch -d @5 &&
		seq -f 'b/%g' 3000 | xargs touch -d @6)
	for i in 1 2 3; do
		echo "$i" >"tree/closed/$i"
		ln "tree/closed/$i" "tree/a/linked-$i"
	done
	chmod 500 tree/closed
	layerctl -q new v --from tree
	expect v
	stop_daemon

	export LAYERD_FAULT=restore.object:4000
	not layerctl restore v out 2>said
	is_part
	completes
	stop_daemon

	export LAYERD_FAULT=restore.object:70 LAYERD_FAULT_ERRNO=5
	not layerctl restore v out 2>said
	grep -q 'cannot write out/.*: Input/output error; out has a part' said
	is_part
	completes

	# Ctrl-C, and a daemon that is told to end; a fast disk may be done by
	# then.
	for who in tool daemon; do
		pid=$(daemon_pid)
		idle=$(ls "/proc/$pid/task" | wc -l)
		setsid layerctl restore v out 2>said &
		tool=$!
		until [ -e out/a/1 ] || ! kill -0 "$tool"; do :; done
		kill -STOP "$pid"
		[ "$who" = tool ] && kill -INT "$tool" || kill -TERM "$pid"
		kill -CONT "$pid"
		status=0
		wait "$tool" || status=$?
		if [ "$who" = daemon ]; then
			wait_gone "$pid"
		else
			wait_for '(($(ls /proc/$pid/task | wc -l) <= idle))'
		fi
		[ "$status" = 0 ] || is_part || restored out
		completes
	done
}
