#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# export: a version as one tarball, and as an image in an OCI image layout.

load helper

NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

digest() {
	layerctl show "$1" --json | jq -r .version.digest
}

# Two layers of v, with whiteouts, an opaque directory and links between both.
make_versions() {
	mkdir -p src/dir src/gone src/replaced
	echo one >src/dir/one
	ln src/dir/one src/linked
	head -c 300K /dev/urandom >src/large
	truncate -s 1M src/sparse
	echo end | dd of=src/sparse bs=1 seek=500000 conv=notrunc status=none
	echo x >src/replaced/x
	setfattr -n user.a -v b src/dir
	layerctl -q new v --from src
	layerctl -q mount v m
	rm -r m/gone m/replaced
	mkdir m/replaced
	echo y >m/replaced/y
	echo two >m/dir/two
	ln m/large m/large-too
	layerctl -q commit v
	dump m >want
	layerctl -q unmount v
}

unpacked() {
	mkdir -p unpacked
	tar xf "$1" -C unpacked --numeric-owner --same-permissions --xattrs \
		--xattrs-include='*' --warning=no-timestamp
	dump unpacked >got
	rm -r unpacked
	same_dump want got
}

@test "a version with one layer is that layer, byte for byte" {
	make_tree tree
	layerctl -q new v --from tree
	layerctl export v >out.tar
	layerctl layer tar v | cmp - out.tar
	layerctl -q export v --tar file.tar
	cmp out.tar file.tar
	json_is "$(stat -c %s out.tar)" .size layerctl export v --tar other.tar
	# A pipe that is read slowly and in pieces, a socket, an appended file.
	layerctl export v | python3 -c '
import os, sys
while True:
    data = os.read(0, 7777)
    if not data: break
    os.write(1, data)' | cmp - out.tar
	python3 - >socket.tar <<-'E'
		import socket, subprocess, sys
		a, b = socket.socketpair()
		p = subprocess.Popen(["layerctl", "export", "v"], stdout=b)
		b.close()
		while data := a.recv(65536):
		    sys.stdout.buffer.write(data)
		sys.exit(p.wait())
	E
	cmp out.tar socket.tar
	echo before >appended.tar
	layerctl export v >>appended.tar
	tail -c +8 appended.tar | cmp - out.tar
	(echo before; layerctl export v; echo behind) >shared.tar
	head -c -7 shared.tar | tail -c +8 | cmp - out.tar
	layerctl export v >/dev/null
}

@test "several layers become one tarball, the same each time" {
	make_versions
	layerctl -q export v --tar v.tar
	unpacked v.tar
	not grep -a -q '\.wh\.' v.tar
	tar tf v.tar >names
	[ "$(grep -c . names)" = "$(wc -l <want)" ]
	mkdir bsd
	LC_ALL=C.UTF-8 bsdtar --numeric-owner -xpf v.tar -C bsd
	dump bsd >got
	# It does not set the time of the root.
	same_dump <(sed '1s/ mtime=[0-9]*//' want) \
		<(sed '1s/ mtime=[0-9]*//' got)
	layerctl export v | cmp - v.tar
	# The same tree, sealed as one layer by somebody else.
	mkdir again
	tar xf v.tar -C again --numeric-owner --same-permissions --xattrs \
		--xattrs-include='*'
	layerctl -q new w --from again
	layerctl export w | cmp - v.tar
	# Without the cache.
	stop_daemon
	unmount_all "$T/run"
	rm -rf "$T/state/cache"
	layerctl export v | cmp - v.tar
}

@test "a path becomes the root of the tarball" {
	make_versions
	[ "$(layerctl export v:/dir | tar tf - | tr '\n' ' ')" = './ one two ' ]
	[ "$(layerctl export v:/replaced/y | tar xOf - y)" = y ]
	[ "$(layerctl export v:/dir/two | tar tf -)" = two ]
	# Of a file's names the first inside the path has the data.
	[ "$(layerctl export v:/large-too | tar tvf - | cut -c1)" = - ]
	fails 3 'has no "nowhere"' layerctl export v:/nowhere --tar out.tar
	[ ! -e out.tar ]
}

@test "the file appears when it is whole, and replaces none unasked" {
	make_versions
	echo precious >out.tar
	fails 4 'out.tar exists; --force' layerctl export v --tar out.tar
	[ "$(cat out.tar)" = precious ]
	fails 3 'no volume w' layerctl export w --tar out.tar --force
	[ "$(cat out.tar)" = precious ]
	ln -s out.tar alias.tar
	layerctl -q export v --tar alias.tar --force
	[ -L alias.tar ]
	unpacked out.tar
	fails 1 'src is a directory' layerctl export v --tar src
	fails 3 'cannot write no/such' layerctl export v --tar no/such
	fails 2 'one at a time' layerctl export v --tar a --oci b
	fails 2 'no room for JSON' layerctl export v --json
	fails 2 'no text for a terminal' \
		script -qec 'layerctl export v' /dev/null
	ls -A >names
	not grep -q tmp names

	truncate -s 8M small.img
	mkfs.ext4 -q -m 0 small.img
	mkdir small
	mount -o loop small.img small ||
		skip "no loop device could be mounted"
	head -c 20M /dev/urandom >src/more
	layerctl -q new big --from src
	fails 7 'cannot write the output: No space' \
		layerctl export big --tar small/out.tar
	[ "$(ls -A small)" = lost+found ]
	umount small
}

# Where a file must have a name from its beginning.
@test "without nameless files a signal leaves no temporary one behind" {
	local signal pid tool status

	mkdir src
	echo data >src/file
	layerctl -q new v --from src
	layerctl export v >want.tar
	nameless=(python3 "$HELPER_DIR/no-tmpfile.py" layerctl -q)
	mkdir to
	"${nameless[@]}" export v --tar to/out.tar
	cmp want.tar to/out.tar
	echo old >to/out.tar
	pid=$(daemon_pid)
	for signal in INT TERM HUP; do
		kill -STOP "$pid"
		"${nameless[@]}" export v --tar to/out.tar --force 2>said &
		tool=$!
		wait_for '[ -e to/out.tar.*.tmp ]'
		kill "-$signal" "$tool"
		status=0
		wait "$tool" || status=$?
		kill -CONT "$pid"
		[ "$status" = $((128 + $(kill -l "$signal"))) ]
		[ "$(ls -A to)" = out.tar ]
		[ "$(cat to/out.tar)" = old ]
	done
	# Who ignores it goes on.
	kill -STOP "$pid"
	(
		trap '' HUP
		exec "${nameless[@]}" export v --tar to/out.tar --force
	) &
	tool=$!
	wait_for '[ -e to/out.tar.*.tmp ]'
	kill -HUP "$tool"
	kill -CONT "$pid"
	wait "$tool"
	cmp want.tar to/out.tar
	[ "$(ls -A to)" = out.tar ]
	fails 3 'no volume w' "${nameless[@]}" export w --tar to/other.tar
	[ "$(ls -A to)" = out.tar ]
}

@test "what is exported is as readable as the caller wants it" {
	local mask want how

	make_versions
	for how in "layerctl -q" "python3 $HELPER_DIR/no-tmpfile.py layerctl -q"; do
		for mask in 022 027 077; do
			want=$(printf %o $((0666 & ~0$mask)))
			(umask "$mask"; $how export v --tar out.tar)
			[ "$(stat -c %a out.tar)" = "$want" ]
			# A file that is replaced keeps its mode.
			chmod 604 out.tar
			(umask "$mask"; $how export v --tar out.tar --force)
			[ "$(stat -c %a out.tar)" = 604 ]
			rm out.tar
		done
	done
	# The daemon writes an image, for all to read as others' tools do.
	(umask 077; layerctl -q export v --oci images)
	[ -z "$(find images -type d ! -perm 755)" ]
	[ -z "$(find images -type f ! -perm 644)" ]
}

@test "a reader that goes away, or never reads, disturbs nobody" {
	mkdir src
	head -c 8M /dev/urandom >src/large
	layerctl -q new v --from src
	layerctl export v 2>said | head -c 100 >/dev/null
	[ ! -s said ]
	mkfifo fifo
	layerctl export v >fifo &
	tool=$!
	exec {reader}<fifo
	layerctl -q cat v:/large | cmp - src/large
	# It ends with the caller, and the daemon with that.
	kill "$tool"
	wait "$tool" || true
	stop_daemon
	exec {reader}<&-
	layerctl export v | tar xO large | cmp - src/large
	mkfifo fifo2
	layerctl export v >fifo2 2>/dev/null &
	exec {reader}<fifo2
	stop_daemon
	exec {reader}<&-
}

@test "who is not root writes as themselves" {
	make_versions
	"${NOBODY[@]}" test -x "$BUILD/tools/layerctl" ||
		skip "nobody cannot reach $BUILD"
	chmod 755 "$T"
	chmod 711 "$T/run"
	chmod 666 "$T/run/layerd.sock"
	nobody=("${NOBODY[@]}" "$BUILD/tools/layerctl")
	"${nobody[@]}" export v | cmp - <(layerctl export v)
	mkdir -m 777 theirs
	mkdir -m 755 roots
	"${nobody[@]}" -q export v --tar theirs/v.tar
	"${nobody[@]}" -q export v --oci theirs/images
	[ -z "$(find theirs/* ! -uid 65534)" ]
	fails 6 'cannot make roots/images: Permission denied' \
		"${nobody[@]}" export v --oci roots/images
	fails 6 'cannot write roots/v.tar' \
		"${nobody[@]}" export v --tar roots/v.tar
	[ -z "$(ls -A roots)" ]
}

# What a layout must be by the specification, checked without any of our code.
check_layout() {
	python3 - "$1" <<-'E'
		import hashlib, json, os, sys
		os.chdir(sys.argv[1])
		assert json.load(open("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
		seen = set()
		def blob(d):
		    kind, hex = d["digest"].split(":")
		    data = open("blobs/sha256/" + hex, "rb").read()
		    assert kind == "sha256" and len(data) == d["size"], d
		    assert hashlib.sha256(data).hexdigest() == hex, d
		    seen.add(hex)
		    return data
		index = json.load(open("index.json"))
		assert index["schemaVersion"] == 2
		for d in index["manifests"]:
		    m = json.loads(blob(d))
		    config = json.loads(blob(m["config"]))
		    assert config["rootfs"]["diff_ids"] == [
		        l["digest"] for l in m["layers"]]
		    for l in m["layers"]:
		        blob(l)
		assert seen == set(os.listdir("blobs/sha256")), "stray blobs"
	E
}

@test "an image is what others take for one, under our own digests" {
	make_versions
	layerctl export v@1 --oci images |
		grep -qE '^v@1 exported to images:v-1: 3 new blobs, '
	check_layout images
	layerctl -q export v --oci images:stable
	check_layout images
	[ "$(jq -c '[.manifests[].annotations[]]' images/index.json)" = \
		'["v-1","stable"]' ]
	[ "$(jq -r '.manifests[].digest' images/index.json)" = \
		"$(digest v@1)"$'\n'"$(digest v)" ]
	for layer in $(layerctl show v --json | jq -r '.version.layers[].digest')
	do
		layerctl layer tar "$layer" |
			cmp - "images/blobs/sha256/${layer#sha256:}"
	done
	# Once more there is nothing to do.
	dump images >before
	json_is '[0,0]' '[.blobs, .bytes]' layerctl export v --oci images:stable
	dump images | same_dump before /dev/stdin

	command -v skopeo >/dev/null || skip "skopeo is not there to judge"
	[ "$(skopeo inspect oci:images:stable | jq -r .Digest)" = "$(digest v)" ]
	skopeo copy -q oci:images:stable dir:copied
	[ "sha256:$(sha256sum <copied/manifest.json | cut -d' ' -f1)" = \
		"$(digest v)" ]
	umoci unpack --image images:stable bundle >/dev/null
	dump --no-holes bundle/rootfs >got
	# It fills holes.
	same_dump <(sed 's/ data=[^ ]*//' want) got
}

@test "what a layout holds stays, whoever made it" {
	make_versions
	mkdir -p images/blobs/sha256
	echo '{"imageLayoutVersion":"1.0.0"}' >images/oci-layout
	echo other >images/blobs/sha256/other
	echo '{"x":[1,{"y":2}],"schemaVersion":2,"manifests":[{"digest":"sha256:aa","size":2,"annotations":{"org.opencontainers.image.ref.name":"taken","z":"1"}}],"annotations":{"k":"v"}}' \
		>images/index.json
	cp images/index.json before.json
	fails 4 'another image named taken.*--force' \
		layerctl export v --oci images:taken
	cmp before.json images/index.json
	[ "$(ls images/blobs/sha256)" = other ]
	layerctl -q export v --oci images:mine
	[ "$(jq -c 'del(.manifests[1])' images/index.json)" = \
		"$(jq -c . before.json)" ]
	layerctl -q export v --oci images:taken --force
	[ "$(jq -c '[.manifests[].annotations]' images/index.json)" = \
		'[{"z":"1"},{"org.opencontainers.image.ref.name":"mine"},{"org.opencontainers.image.ref.name":"taken"}]' ]
	[ "$(cat images/blobs/sha256/other)" = other ]

	# A blob that was damaged is made whole.
	layer=$(layerctl show v --json | jq -r '.version.layers[1].digest')
	blob=images/blobs/sha256/${layer#sha256:}
	printf X | dd of="$blob" bs=1 conv=notrunc status=none
	layerctl -q export v --oci images:mine
	layerctl layer tar "$layer" | cmp - "$blob"
}

@test "what is no layout is left as it is" {
	make_versions
	mkdir other
	echo precious >other/file
	fails 2 'other is neither empty nor an OCI image layout' \
		layerctl export v --oci other
	[ "$(ls other)" = file ]
	fails 1 'Not a directory|is not a directory' \
		layerctl export v --oci other/file
	mkdir bad
	echo '{"imageLayoutVersion":"1.0.0"}' >bad/oci-layout
	for index in '' '[]' '{"schemaVersion":1,"manifests":[]}' '{' \
		'{"schemaVersion":2,"manifests":{}}'; do
		printf '%s' "$index" >bad/index.json
		[ -n "$index" ] || continue
		fails 9 'bad/index.json is not the index' \
			layerctl export v --oci bad
		[ "$(cat bad/index.json)" = "$index" ]
	done
	echo '{"imageLayoutVersion":"2.0.0"}' >bad/oci-layout
	fails 9 'version that is not known' layerctl export v --oci bad
	fails 2 'cannot be named "-x"' layerctl export v --oci new:-x
	fails 2 'a whole version' layerctl export v:/dir --oci new
	fails 3 'no volume w' layerctl export w --oci new
	[ ! -e new ]

	# Links inside of a layout lead nowhere.
	mkdir outside planted
	echo '{"imageLayoutVersion":"1.0.0"}' >planted/oci-layout
	ln -s ../outside planted/blobs
	fails 1 'cannot write planted/blobs' layerctl export v --oci planted
	[ -z "$(ls outside)" ]
	(
		flock 9
		fails 5 'somebody else is writing to images' \
			layerctl export v --oci images
	) 9<"$(mkdir images && echo images)"
	layerctl -q export v --oci images
}

@test "an export that dies leaves a layout that is whole" {
	make_versions
	layerctl -q export v@1 --oci images
	for step in store-sync:1 store-rename:2 file.written file.renamed; do
		stop_daemon || true
		LAYERD_FAULT=$step not layerctl export v --oci images 2>/dev/null
		find images/blobs -name '.tmp-*' -delete
		python3 - <<-'E'
			import json
			names = [m["annotations"]["org.opencontainers.image.ref.name"]
			         for m in json.load(open("images/index.json"))["manifests"]]
			assert names in (["v-1"], ["v-1", "v-2"]), names
		E
	done
	layerctl -q export v --oci images
	rm -f images/index.json.*.tmp
	check_layout images
}
