# SPDX-License-Identifier: Apache-2.0
#
# new --from ARCHIVE: what tar and cpio make of an archive is what the volume
# shows, the tarball stays as it was, and archives that nobody should make do no
# harm.

load helper

make_archive() {
	python3 "$HELPER_DIR/make-archive.py" "$@"
}

layer_digest() {
	layerctl show "$1" --json | jq -r '.version.layers[0].digest'
}

# The first version of volume $1 is tarball $2, byte for byte.
is_tarball() {
	layerctl layer tar "$1@1" | cmp - "$2"
	[ "$(layer_digest "$1")" = "sha256:$(sha256sum <"$2" | cut -d' ' -f1)" ]
	layerctl -q layer verify "$1@1"
}

# The first version of volume $1 shows what is in directory $2.
shows() {
	layerctl -q mount --ro "$1@1" m2
	dump --no-holes "${@:3}" m2 >got
	layerctl -q unmount m2
	dump --no-holes "${@:3}" "$2" >want
	same_dump want got
}

tar_x() {
	rm -rf "$2"
	mkdir "$2"
	tar --warning=no-unknown-keyword --warning=no-timestamp -xf "$1" -C "$2" \
		--numeric-owner --same-permissions --xattrs \
		--xattrs-include='*'
}

# All kinds of things, but not the directory of 20,000 names.
small_tree() {
	make_tree --plain plain
	rm -r plain/dirs
}

nothing_is_left() {
	json_is 0 '.volumes | length' layerctl ls
	no_stages
}

@test "each format of tar is kept and shows what tar x makes of it" {
	local format n=0
	small_tree
	while read -r format; do
		n=$((n + 1))
		# What a format cannot hold is left out.
		tar -C plain -c $format -f a.tar --numeric-owner --sort=name . \
			2>/dev/null || true
		layerctl new "v$n" --from a.tar
		is_tarball "v$n" a.tar
		tar_x a.tar out
		shows "v$n" out
	done <<-'E'
		--format=pax --xattrs --xattrs-include=* --acls -S
		--format=pax -S --sparse-version=0.1
		--format=pax -S --sparse-version=0.0
		--format=gnu -S
		--format=oldgnu
		--format=ustar
		--format=v7
	E
}

@test "each compression is taken off, of a file and of a pipe" {
	local c
	small_tree
	rm -r plain/sizes plain/sparse plain/deep
	tar -C plain -cf a.tar --format=pax .
	layerctl new plain --from a.tar
	for c in gzip bzip2 xz zstd lz4; do
		$c -c a.tar >"a.$c"
		json_is "[\"tar\",\"$c\",false]" \
			'.archive | [.format, .compression, .converted]' \
			layerctl new "$c" --from "a.$c"
		$c -c a.tar | layerctl new "$c-pipe" --from -
		is_tarball "$c" a.tar
		[ "$(layer_digest "$c")" = "$(layer_digest "$c-pipe")" ]
	done
	json_is '"imported from a.gzip"' .version.message layerctl show gzip@1
	json_is '"imported from standard input"' .version.message \
		layerctl show xz-pipe@1
	layerctl new mine --from - -m mine --label k=v <a.tar
	json_is '["mine",{"k":"v"}]' '.version | [.message, .labels]' \
		layerctl show mine@1
}

# What cpio -i does not bring back, of a dump: the root, times of directories and
# symbolic links, and that other objects than files have several names.
cpio_limits() {
	sed -E -e '/^\. /d' -e '/^[^ ]+ (dir|symlink) /s/ mtime=[-0-9]+//' \
		-e '/^[^ ]+ (file|dir) /!s/ link=.*//' "$1"
}

@test "each format of cpio shows what cpio makes of it" {
	local format
	small_tree
	rm -r plain/names plain/times plain/xattrs plain/deep
	find plain -type f -size +5M -delete
	for format in newc crc odc bin; do
		(cd plain && find . -print0 | LC_ALL=C sort -z |
			cpio -0o -H $format --quiet --reproducible \
				2>/dev/null) >"a.$format"
		rm -rf out
		mkdir out
		(cd out && cpio -idm --quiet --no-absolute-filenames \
			<"../a.$format")
		json_is '["cpio",null,true]' \
			'.archive | [.format, .compression, .converted]' \
			layerctl new "$format" --from "a.$format"
		shows "$format" out --no-xattrs >/dev/null || true
		same_dump <(cpio_limits want) <(cpio_limits got)
		layerctl -q layer verify "$format@1"
		# The same archive makes the same tarball.
		gzip -c "a.$format" | layerctl new "$format-2" --from -
		[ "$(layer_digest $format)" = "$(layer_digest "$format-2")" ]
	done
}

@test "what git, npm and docker write is a tarball like any other" {
	git init -q repository
	cd repository
	mkdir src
	echo code >src/main.c
	ln -s main.c src/link
	git add .
	git -c user.name=t -c user.email=t@example.org commit -qm c
	# With a global pax header that holds the commit.
	git archive --prefix=p/ HEAD >../git.tar
	git archive --format=tgz HEAD | layerctl new git-gz --from -
	cd ..
	layerctl new git --from git.tar
	is_tarball git git.tar
	[ "$(layerctl cat git:/p/src/main.c)" = code ]
	[ "$(layerctl cat git-gz:/src/main.c)" = code ]

	make_archive npm-pack npm.tar
	gzip -c npm.tar >x-1.0.0.tgz
	layerctl new npm --from x-1.0.0.tgz
	is_tarball npm npm.tar
	[ "$(layerctl cat npm:/package/lib/index.js)" = 'module.exports = 1' ]

	make_archive docker-save image.tar
	layerctl new image --from - <image.tar
	is_tarball image image.tar
	[ "$(layerctl cat image:/manifest.json | jq -r '.[0].RepoTags[0]')" = \
		x:latest ]
	layerctl mount --ro image m
	[ "$(tar xOf m/*/layer.tar etc/motd)" = hello ]
	layerctl unmount m
}

@test "a seal's tarball comes back as it went, and takes no room" {
	local before after
	make_tree plain
	rm -r plain/dirs
	layerctl new v --from plain
	layerctl layer tar v >v.tar
	before=$(du -sb state/store/packs | cut -f1)
	layerctl new w --from v.tar
	is_tarball w v.tar
	[ "$(layer_digest v)" = "$(layer_digest w)" ]
	after=$(du -sb state/store/packs | cut -f1)
	[ "$before" = "$after" ]
}

@test "a pack that was lost is made again, of a source that is read once" {
	local a
	make_archive npm-pack a.tar
	make_archive cpio-harmless a.cpio
	for a in a.tar a.cpio; do
		layerctl new "${a#a.}-1" --from $a
		find state/store/packs -type f -delete
		cat $a | layerctl new "${a#a.}-2" --from -
		layerctl layer verify "${a#a.}-2"
		[ $a = a.cpio ] || is_tarball tar-2 a.tar
	done
}

@test "of names that come twice the later counts, as with tar x" {
	make_archive twice a.tar
	layerctl new v --from a.tar
	is_tarball v a.tar
	tar_x a.tar out
	touch -d @0 out
	shows v out
	[ "$(layerctl cat v:/same)" = second ]
	[ "$(layerctl cat v:/dir/kept)" = kept ]
}

@test "absolute paths and missing directories end up in the volume" {
	make_archive absolute a.tar
	layerctl new v --from a.tar
	is_tarball v a.tar
	[ "$(layerctl ls -R v:/ | tr '\n' ' ')" = \
		'./ d/ d/f d/g d/h e implied/ implied/dir/ implied/dir/f ' ]
	layerctl mount --ro v m
	[ m/d/f -ef m/d/h ]
	[ "$(stat -c '%a %u %Y' m/implied/dir)" = '755 0 0' ]
	layerctl unmount m
}

@test "nothing in an archive acts on overlayfs" {
	make_archive overlay a.tar
	layerctl new v --from a.tar
	is_tarball v a.tar
	layerctl mount v m
	[ "$(cd m && find . | LC_ALL=C sort | tr '\n' ' ')" = \
		'. ./d ./d/f ./null ./other ./other/hidden? ' ]
	[ "$(getfattr -Rm - m 2>/dev/null | grep -v '^#' | sort -u)" = \
		$'\nuser.kept' ]
	[ "$(cat m/d/f)" = f ]
	layerctl unmount --discard v
	json_is '["user.kept"]' '.entries[1].xattrs' layerctl layer ls v
}

@test "whiteouts of a first layer hide nothing and do not show" {
	make_archive whiteouts a.tar
	layerctl new v --from a.tar
	is_tarball v a.tar
	layerctl mount v m
	[ "$(cd m && find . | sort | tr '\n' ' ')" = '. ./d ./d/f ' ]
	echo mine >m/gone
	layerctl finalize v
	[ "$(layerctl ls -R v:/ | tr '\n' ' ')" = './ d/ d/f gone ' ]
}

@test "odd names come through" {
	make_archive odd-names a.tar
	layerctl new v --from a.tar
	is_tarball v a.tar
	layerctl mount --ro v m
	python3 - <<-'E'
		import os
		os.chdir(b"m")
		names = sorted(os.listdir(b"."))
		assert names == sorted([b"new\nline", b"tab\tand \x1b[31mred",
		    b"n" * 255, b"-rf *", b"\xff\xfe not UTF-8", b"d" * 100]), names
		for _ in range(60):
		    os.chdir(b"d" * 100)
		assert open("deep").read() == "7"
	E
	layerctl unmount m
	# Nothing of it reaches a terminal.
	not grep -q "$(printf '\033')" <(layerctl ls -R v:/)
}

@test "a cpio's own names and paths are harmless" {
	make_archive cpio-harmless a
	layerctl new v --from a
	[ "$(layerctl ls v:/ | tr '\n' ' ')" = '.wh.kept abs suid ' ]
	[ "$(layerctl cat v:/.wh.kept)" = "a user's own name" ]
	layerctl layer verify v
}

@test "setuid files and devices are without effect for who is not root" {
	local mode
	local user=(setpriv --reuid 65534 --clear-groups --inh-caps +sys_admin
		--ambient-caps +sys_admin)
	make_archive setuid a.tar
	layerctl new v --from a.tar
	chmod 755 "$T" "$T/run"
	chmod 666 "$T/run/layerd.sock"
	"${user[@]}" test -x "$BUILD/tools/layerctl" ||
		skip "nobody cannot reach $BUILD"
	chown 65534 m
	for mode in --ro ''; do
		"${user[@]}" "$BUILD/tools/layerctl" mount $mode v m
		findmnt -no OPTIONS m | grep -q nosuid
		findmnt -no OPTIONS m | grep -q nodev
		fails 2 'Permission denied' sh -c 'echo x >m/null'
		layerctl unmount m
	done
	# To root they are what they are.
	layerctl mount --ro v m2
	[ "$(stat -c %a m2/suid)" = 6755 ]
	layerctl unmount m2
}

@test "what is behind the end of a tarball is kept, and not shown" {
	local what
	for what in followed lone-zero-block no-end no-entries; do
		make_archive $what a.tar
		layerctl new $what --from a.tar
		is_tarball $what a.tar
	done
	[ "$(layerctl ls -R followed:/ | tr '\n' ' ')" = './ f ' ]
	[ "$(layerctl ls -R no-end:/ | tr '\n' ' ')" = './ f ' ]
	[ "$(layerctl ls -R no-entries:/)" = ./ ]
}

@test "holes that no index can have make another tarball, with the same data" {
	make_archive holes-at-odd-places a.tar
	json_is '["tar",null,true]' \
		'.archive | [.format, .compression, .converted]' \
		layerctl new v --from a.tar
	tar_x a.tar out
	rm -f out/d/.wh.*
	touch -d @0 out
	touch -d @1000000000 out/d
	shows v out
	layerctl layer verify v
	not cmp -s a.tar <(layerctl layer tar v)
	# Again, the same.
	layerctl new w --from a.tar
	[ "$(layer_digest v)" = "$(layer_digest w)" ]

	make_archive holes-beyond-the-table b.tar
	json_is true .archive.converted layerctl new image --from b.tar
	layerctl layer verify image
	layerctl mount --ro image m
	python3 - <<-'E'
		import os, struct
		f = os.open("m/image", os.O_RDONLY)
		assert os.fstat(f).st_size == 1 << 40
		for i in range(300):
		    assert os.pread(f, 8192, i << 20) == \
		        struct.pack("<Q", i) * 512 + bytes(4096), i
		assert os.pread(f, 9999, (1 << 40) - 8192) == \
		    bytes(4096) + struct.pack("<Q", 300) * 512
	E
	layerctl unmount m
}

@test "archives that nobody should make are refused, one sentence each" {
	local what pattern
	mkdir bad
	make_archive --refused bad >list
	[ "$(wc -l <list)" -ge 25 ]
	while IFS=$'\t' read -r what pattern; do
		echo "$what"
		got=0
		layerctl new v --from "bad/$what" >text 2>&1 || got=$?
		[ "$got" = 2 ] || [ "$got" = 9 ] || {
			cat text
			false
		}
		[ "$(wc -l <text)" = 1 ]
		grep -qE -- "cannot import bad/$what: .*($pattern)" text || {
			cat text
			false
		}
	done <list
	nothing_is_left
}

@test "what is no archive is refused, with the formats that are known" {
	local known='known are tar .*cpio.*gzip, bzip2, xz, zstd or lz4'
	echo hello >text
	gzip -c text >text.gz
	: >empty
	gzip -c empty >empty.gz
	{ head -c 1024 /dev/zero && echo super block; } >image
	make_archive absolute a.tar
	gzip -c a.tar | gzip -c >twice.gz
	gzip -c a.tar | head -c 100 >cut.gz
	fails 2 "text is no archive.*$known" layerctl new v --from text
	fails 2 "is compressed with gzip, but what is in it.*$known" \
		layerctl new v --from text.gz
	fails 2 'empty is empty' layerctl new v --from empty
	fails 2 'but what is in it is no archive' \
		layerctl new v --from empty.gz
	fails 2 "image is no archive" layerctl new v --from image
	fails 2 'more than once' layerctl new v --from twice.gz
	fails 9 'cut.gz cannot be unpacked: its gzip data' \
		layerctl new v --from cut.gz
	fails 2 'standard input is empty' layerctl new v --from - </dev/null \
		|| fails 2 'neither a file nor a pipe' \
			layerctl new v --from - </dev/null
	fails 2 'standard input is empty' sh -c ': | layerctl new v --from -'
	fails 2 'neither a file nor a pipe' layerctl new v --from /dev/zero
	fails 3 'none does not exist' layerctl new v --from none
	fails 2 'terminal' script -qec 'layerctl new v --from -' /dev/null
	nothing_is_left
	layerctl new v --from a.tar
	fails 4 'volume v' layerctl new v --from a.tar
	fails 3 'no file v;.*layerctl fork v w' layerctl new w --from v
	fails 3 'layerctl fork v@1 w' layerctl new w --from v@1
	fails 2 'is not' layerctl new Bad-Name --from a.tar
	fails 2 'without' layerctl new x -m message
}

@test "an import that is interrupted leaves no volume and no stage" {
	local pid writer
	head -c 30M /dev/urandom >f
	tar cf a.tar f
	mkfifo pipe
	# The archive stops in the middle; its writer stays.
	{ head -c 20M a.tar && exec sleep 1000; } >pipe 3>&- &
	writer=$!
	layerctl new v --from - <pipe >out 2>&1 3>&- &
	pid=$!
	wait_for '[ "$(stat -c %s state/cache/stage-*/tar)" -gt 10000000 ]'
	kill -INT "$pid" 2>/dev/null
	# A shell's background job ignores it.
	kill -TERM "$pid"
	wait_gone "$pid"
	wait_for '[ -z "$(ls -d state/cache/stage-*)" ]'
	json_is 0 '.volumes | length' layerctl ls

	# The daemon ends while a source is silent, and the tool is told.
	layerctl new v --from - <pipe >out 2>&1 3>&- &
	pid=$!
	{ head -c 20M a.tar && exec sleep 1000; } >pipe 3>&- &
	wait_for '[ "$(stat -c %s state/cache/stage-*/tar)" -gt 10000000 ]'
	stop_daemon
	wait_gone "$pid"
	grep -q 'the import was stopped; there is no volume v' out
	kill "$writer" %% 2>/dev/null || true
	layerctl new v --from a.tar
	no_stages
	is_tarball v a.tar
}

@test "without room the import fails, and the same command succeeds later" {
	mkdir -p state/store
	truncate -s 64M store.img
	mkfs.ext4 -q -m 0 store.img
	mount -o loop store.img state/store ||
		skip "no loop device could be mounted"
	fallocate -l 40M state/store/lost+found/filler
	head -c 30M /dev/urandom >f
	tar cf a.tar f
	fails 7 'is full' layerctl new v --from a.tar
	nothing_is_left
	fails 7 'is full' sh -c 'cat a.tar | layerctl new v --from -'
	nothing_is_left
	rm state/store/lost+found/filler
	layerctl new v --from a.tar
	is_tarball v a.tar
	stop_daemon
	unmount_all "$T/run"
}

@test "a few bytes that stand for many take no memory" {
	local before after
	layerctl status
	before=$(awk '/VmHWM/ {print $2}' "/proc/$(daemon_pid)/status")
	python3 - <<-'E' | zstd -q >bomb.zst
		import sys, tarfile
		t = tarfile.TarInfo("zeros")
		t.size = 400 << 20
		sys.stdout.buffer.write(t.tobuf())
		for _ in range(400):
		    sys.stdout.buffer.write(bytes(1 << 20))
		sys.stdout.buffer.write(bytes(1024))
	E
	[ "$(stat -c %s bomb.zst)" -lt 1000000 ]
	layerctl new v --from bomb.zst
	after=$(awk '/VmHWM/ {print $2}' "/proc/$(daemon_pid)/status")
	[ $((after - before)) -lt 400000 ]
	[ "$(du -sm state/store | cut -f1)" -lt 5 ]
}

@test "progress has a total when the source is a file" {
	head -c 60M /dev/urandom >f
	tar cf a.tar f
	layerctl status
	cat >client.py <<-'E'
		import array, json, os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		call = {"method": "io.layerd.New", "more": True, "parameters":
		        {"name": sys.argv[2], "from": "input"}}
		s.sendmsg([json.dumps(call).encode() + b"\0"], [(socket.SOL_SOCKET,
		          socket.SCM_RIGHTS, array.array("i", [0]))])
		data = b""
		while b'"version"' not in data and b'"error"' not in data:
		    data += s.recv(65536)
		progress = [m["parameters"]["progress"] for m in
		            map(json.loads, data.split(b"\0")[:-1])
		            if "progress" in m["parameters"]]
		totals = {p["total"] for p in progress if p["stage"] == "import"}
		print(*totals)
	E
	[ "$(python3 client.py run/layerd.sock v <a.tar)" = \
		"$(stat -c %s a.tar)" ]
	[ "$(cat a.tar | python3 client.py run/layerd.sock w)" = 0 ]
}
