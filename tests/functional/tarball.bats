# SPDX-License-Identifier: Apache-2.0
#
# A layer is a tarball that other tools list and extract; its name is its
# SHA-256; the same tree makes the same bytes.

load helper

digest_of() {
	layerctl show "$1" --json | jq -r '.version.layers[-1].digest'
}

# A listing by a tar tool, as raw paths that end with NUL, sorted: GNU tar's
# "escape" style is undone, so that no name is mistaken for another.
gnu_tar_names() {
	tar tf "$1" --quoting-style=escape | python3 -c '
import re, sys
named = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11}
def undo(m):
    s = m[1]
    return bytes([int(s, 8)]) if s.isdigit() else (
        bytes([named[s]]) if s in named else s)
names = [re.sub(rb"\\([0-7]{3}|.)", undo, line.rstrip(b"\n"))
         for line in sys.stdin.buffer]
names = sorted(n.removeprefix(b"./").rstrip(b"/") or b"." for n in names)
sys.stdout.buffer.write(b"\0".join(names))'
}

tree_names() {
	(cd "$1" && find . -printf '%P\0') | python3 -c '
import sys
names = sys.stdin.buffer.read().split(b"\0")[:-1]
names = sorted(n or b"." for n in names)
sys.stdout.buffer.write(b"\0".join(names))'
}

seal_tree() {
	make_tree --plain "$@" plain
	layerctl new v --from plain
	layerctl layer tar v >v.tar
	dump plain >want
}

@test "the layer's name is the tarball's SHA-256, and its size is its size" {
	seal_tree
	[ "sha256:$(sha256sum <v.tar | cut -d' ' -f1)" = "$(digest_of v)" ]
	json_is "$(stat -c %s v.tar)" '.version.layers[0].size' layerctl show v
	layerctl layer tar "$(digest_of v)" | cmp - v.tar
	layer=$(digest_of v)
	layerctl layer tar "${layer:7:12}" | cmp - v.tar
}

@test "GNU tar lists every name and extracts the same tree" {
	seal_tree --big
	tar="tar --warning=no-unknown-keyword --warning=no-timestamp"
	gnu_tar_names v.tar >got.names
	tree_names plain >want.names
	cmp want.names got.names
	[ "$(tar tf v.tar | wc -l)" = "$(wc -l <want)" ]
	mkdir out
	# ACLs come back with either option: they are there in both forms.
	$tar -xf v.tar -C out --numeric-owner --same-permissions --xattrs \
		--xattrs-include='*'
	dump out >got
	same_dump want got
	rm -rf out
	mkdir out
	$tar -xf v.tar -C out --numeric-owner --same-permissions --xattrs \
		--xattrs-include='user.*' --xattrs-include='security.*' \
		--xattrs-include='trusted.*' --acls
	dump out >got
	same_dump want got
}

# What bsdtar (libarchive 3.6.2) brings back differently, of a dump:
#   times before 1970 with a fraction are wrong, as is the root's
#   ids above 2^31 - 1 in an ACL are cut
#   "=" in an attribute's name stays encoded as the archive has it
#   names that Unicode has two forms of are composed, so that two may be one
bsdtar_limits() {
	python3 - "$1" <<-'E'
		import re, sys
		for line in open(sys.argv[1]):
		    path = line.split(" ", 1)[0]
		    if path == r"names/cafe\xcc\x81":
		        continue
		    if path == "." or re.match(r"times/.*before-1970$", path) or \
		       re.match(r"times/-\d*?(?!0{9}$)\d{1,9}$", path) or \
		       path == "symlinks/self":
		        line = re.sub(" mtime=[-0-9]*", "", line)
		    if path in ("xattrs/acl", "xattrs/acl-dir"):
		        line = re.sub(" system.posix_acl_[a-z]*=[^ ]*", "", line)
		    sys.stdout.write(line.replace("newline%3Dequals", "newline=equals"))
	E
}

@test "bsdtar lists every name and extracts the same tree" {
	seal_tree --big
	# It writes a newline in a name as \n, so there is a line for each.
	[ "$(LC_ALL=C.UTF-8 bsdtar tf v.tar | wc -l)" = "$(wc -l <want)" ]
	mkdir out
	LC_ALL=C.UTF-8 bsdtar --numeric-owner -xpf v.tar -C out
	dump out >got
	same_dump <(bsdtar_limits want) <(bsdtar_limits got)
}

@test "the same tree twice, in any locale, has the same digest" {
	make_tree plain
	layerctl new a --from plain
	layerctl new b --from plain
	[ "$(digest_of a)" = "$(digest_of b)" ]
	stop_daemon
	# Another locale, in the daemon and in the tool.
	export LC_ALL
	for LC_ALL in C en_US.ISO-8859-1 tr_TR.UTF-8; do
		name=$(tr -d -c a-z0-9 <<<"${LC_ALL,,}")
		layerctl new "$name" --from plain
		[ "$(digest_of a)" = "$(digest_of "$name")" ]
		stop_daemon
	done
	unset LC_ALL
}

@test "the order of names in a directory does not matter" {
	mkdir plain other
	mount -t tmpfs tmpfs other
	for i in {1..300}; do
		echo "$i" >"plain/$i"
	done
	for i in {300..1}; do
		echo "$i" >"other/$i"
	done
	touch -d @1000000000 plain/* other/* plain other
	chmod --reference=plain other
	[ "$(ls -U plain)" != "$(ls -U other)" ]
	layerctl new a --from plain
	layerctl new b --from other
	[ "$(digest_of a)" = "$(digest_of b)" ]
}

@test "a tree made in a mount has the digest of the tree imported" {
	make_tree plain
	layerctl new a --from plain
	layerctl new b
	layerctl mount b m
	make_tree m
	layerctl finalize b
	[ "$(digest_of a)" = "$(digest_of b)" ]
}

@test "verify reads a layer from the store and finds its index the same" {
	seal_tree
	layerctl layer verify v
	# The root is not counted.
	entries=$(($(wc -l <want) - 1))
	json_is "[\"$(digest_of v)\",$(stat -c %s v.tar),$entries]" \
		'[.digest, .size, .entries]' layerctl layer verify v
	rm -rf state/cache/*
	layerctl layer verify v
}

@test "verify says what is damaged" {
	seal_tree
	pack=$(find state/store/packs -type f -size +1M | head -1)
	printf XXXX | dd of="$pack" bs=1 seek=100000 conv=notrunc status=none
	fails 9 'pack|chunk' layerctl layer verify v
}

@test "layer ls lists what is in the layer, whiteouts too" {
	mkdir -p plain/d
	echo 1 >plain/d/f
	ln plain/d/f plain/d/g
	ln -s to plain/s
	mkfifo plain/fifo
	layerctl new v --from plain
	[ "$(layerctl layer ls v)" = $'./\nd/\nd/f\nd/g\nfifo\ns' ]
	[ "$(layerctl layer ls v d)" = $'d/\nd/f\nd/g' ]
	layerctl mount v m
	rm m/d/f m/s
	rm -r m/d
	mkdir m/d
	echo 2 >m/d/.wh.mine
	layerctl finalize v
	json_is '["directory","directory","file","whiteout"]' \
		'[.entries[].kind]' layerctl layer ls v
	json_is '["",true,"d/.wh.mine","s"]' \
		'[.entries[0].path, .entries[1].opaque, .entries[2,3].path]' \
		layerctl layer ls v
	layerctl layer ls v | grep -qx '.wh.s'
	layerctl layer tar v | tar t >names
	grep -qx 'd/.wh..wh..opq' names
	grep -qx '.wh.s' names
	grep -qx 'd/.wh..wh.esc..wh.mine' names
	fails 3 'no/such' layerctl layer ls v no/such
}

@test "layer cat writes every file as it is" {
	make_tree plain
	layerctl new v --from plain
	(cd plain && find sizes sparse links names xattrs modes -type f \
		-print0 | shuf -z -n 60 --random-source=<(yes)) >files
	while IFS= read -r -d '' f; do
		layerctl layer cat v "$f" | cmp - "plain/$f" || {
			printf 'differs: %q\n' "$f"
			return 1
		}
	done <files
	for f in plain/sparse/* plain/names/wh/.wh.a \
		$'plain/names/dir \xff\n/-\n' plain/links/b/c/three; do
		layerctl layer cat v "${f#plain/}" | cmp - "$f"
	done
	fails 3 'has no "no/such"' layerctl layer cat v no/such
	fails 2 'symbolic link' layerctl layer cat v links/symlink
	fails 2 'directory' layerctl layer cat v links
	fails 2 'fifo' layerctl layer cat v specials/fifo
}

@test "nothing is written to a terminal's or a closed pipe's harm" {
	mkdir plain
	head -c 20M /dev/urandom >plain/f
	layerctl new v --from plain
	layerctl layer tar v | head -c 1000 >/dev/null
	layerctl layer cat v f | head -c 1000 >/dev/null
	layerctl layer ls v | true
	layerctl status
}

@test "our reader of an index and the kernel agree on every entry and byte" {
	seal_tree
	layerctl layer ls v --json >entries
	layerctl mount v@1 m
	python3 - entries v.tar m <<-'E'
		import json, os, re, stat, sys
		kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory",
		         stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
		         stat.S_IFBLK: "block", stat.S_IFCHR: "character"}
		def raw(s):
		    return re.sub(rb"\\x([0-9a-f]{2})",
		                  lambda m: bytes([int(m[1], 16)]), s.encode())
		def data(e):
		    runs = e.get("extents")
		    if runs is None:
		        runs = [{"offset": 0, "length": e["size"]}]
		    out, at = bytearray(e["size"]), e.get("payload", 0)
		    for run in runs:
		        o, n = run["offset"], run["length"]
		        out[o:o + n] = os.pread(tar, n, at)
		        at += n
		    return out
		tar = os.open(sys.argv[2], os.O_RDONLY)
		entries = json.load(open(sys.argv[1]))["entries"]
		seen = {}
		for e in entries:
		    path = os.path.join(os.fsencode(sys.argv[3]), raw(e["path"]))
		    st = os.lstat(path)
		    if e["kind"] == "hardlink":
		        assert seen[raw(e["target"])] == st.st_ino, e
		        continue
		    seen[raw(e["path"])] = st.st_ino
		    assert e["kind"] == kinds[stat.S_IFMT(st.st_mode)], e
		    assert e["mode"] == stat.S_IMODE(st.st_mode), e
		    assert (e["uid"], e["gid"]) == (st.st_uid, st.st_gid), e
		    ns = e["mtime"] * 10**9 + e["mtime_nsec"]
		    assert ns == st.st_mtime_ns, e
		    names = os.listxattr(path, follow_symlinks=False)
		    assert sorted(map(raw, e.get("xattrs", []))) == \
		        sorted(map(os.fsencode, names)), e
		    if e["kind"] == "symlink":
		        assert raw(e["target"]) == os.readlink(path), e
		    if e["kind"] in ("block", "character"):
		        assert e["device"] == "%d:%d" % (
		            os.major(st.st_rdev), os.minor(st.st_rdev)), e
		    if e["kind"] == "file":
		        assert e["size"] == st.st_size, e
		        with open(path, "rb") as f:
		            assert f.read() == data(e), e
		count = sum(len(d) + len(f) for _, d, f in
		            os.walk(os.fsencode(sys.argv[3])))
		assert count + 1 == len(entries), (count, len(entries))
	E
}
