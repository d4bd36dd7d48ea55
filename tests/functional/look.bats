# SPDX-License-Identifier: Apache-2.0
#
# Looking into versions without a mount: diff, ls REF:PATH, cat REF:PATH.
# random.bats compares the differences of random histories with a model.

load helper
load differences

make_versions() {
	make_volume
	change_mount
	layerctl commit v
}

@test "diff names every kind of difference" {
	make_versions
	all_differences >want
	layerctl diff v@1 v@2 >got
	diff want got
	layerctl diff v@1 v >got
	diff want got
	layerctl diff v@2 v@2 >got
	[ ! -s got ]
	layerctl diff v@2 v@1 | grep -qx 'A  gone/file'
	layerctl diff --no-renames v@1 v >got
	grep -qx 'D  moved/old-name' got
	grep -qx 'A  dir/below/new-name' got
}

@test "diff counts, names, and restricts itself to a path" {
	make_versions
	layerctl diff --stat v@1 v |
		grep -qx '2 added, 3 removed, 7 changed, 1 renamed; .* B became .* B'
	[ "$(layerctl diff --name-only v@1:/gone v)" = $'gone/\ngone/file' ]
	[ "$(layerctl diff --name-only v@1:/gone v:/gone)" = \
		$'gone/\ngone/file' ]
	[ "$(layerctl diff v@1:content v)" = "M  content  (content, time)" ]
	[ "$(layerctl diff --stat v@1:same v)" = "no differences" ]
	json_is '[["removed","gone","directory",null],["removed","gone/file","file",5]]' \
		'[.differences[] | [.kind, .path, .before,
			if .before == "file" then .size_before else null end]]' \
		layerctl diff v@1:/gone v
	fails 3 'neither version has "nowhere"' layerctl diff v@1:/nowhere v
	fails 2 'different paths' layerctl diff v@1:/a v:/b
	fails 3 'has no version 9' layerctl diff v@1 v@9
	fails 3 'no volume w' layerctl diff v w
}

@test "diff shows the lines that differ" {
	make_versions
	layerctl diff --content v@1:content v >got
	cat >want <<-'E'
		M  content  (content, time)
		--- v@1:content
		+++ v:content
		@@ -1 +1 @@
		-content
		+other
	E
	diff want got
	layerctl diff --content v@1:/gone v | grep -qx -- '-gone'
	layerctl diff --content v@1:/added v | grep -qx -- '+new'
	[ "$(layerctl diff --content v@1:mode v)" = "M  mode  (mode)" ]
}

@test "diff of volumes that share nothing, and of empty ones" {
	make_versions
	mkdir other
	echo other >other/content
	layerctl new w --from other
	layerctl diff v@2 w >got
	grep -qx 'D  added/file' got
	grep -q '^M  content' got
	layerctl new empty
	layerctl mount empty m2
	layerctl commit empty
	layerctl diff --no-renames empty w >got
	grep -qx 'A  content' got
	not grep -q '^D' got
	layerctl diff w empty | grep -qx 'D  content'
}

@test "large files are compared without being read" {
	mkdir src
	head -c 8M /dev/urandom >src/large
	layerctl new v --from src
	layerctl mount v m
	printf x | dd of=m/large bs=1 seek=4000000 conv=notrunc status=none
	touch -r src/large m/large
	layerctl commit v
	printf '%s' "$(dd if=src/large bs=1 skip=4000000 count=1 status=none |
		od -An -tx1)" >byte
	touch m/large
	layerctl commit v
	layerctl unmount v
	# Neither tarball is there: only indexes and chunk lists are.
	rm state/cache/*/tar
	[ "$(layerctl diff v@1 v@2)" = "M  large  (content)" ]
	[ "$(layerctl diff v@2 v@3)" = "M  large  (time)" ]
}

@test "ls and cat look into a version" {
	make_versions
	[ "$(layerctl ls v@1:moved)" = moved/old-name ]
	[ "$(layerctl ls v:/dir)" = dir/below/ ]
	[ "$(layerctl ls -R v:/dir)" = \
		$'dir/\ndir/below/\ndir/below/new-name' ]
	layerctl ls -l v@2:mode | grep -q '^-rw------- 0/0 *5 .* mode$'
	[ "$(layerctl ls v@1 | head -2)" = $'content\ndir/' ]
	json_is '["link","symlink","elsewhere"]' \
		'.entries[0] | [.path, .kind, .target]' layerctl ls v:/link
	[ "$(layerctl cat v@1:content)" = content ]
	[ "$(layerctl cat v:/content)" = other ]
	layerctl tag v@1 first
	[ "$(layerctl cat v:first:/content)" = content ]
	[ "$(layerctl cat v:first:content)" = content ]
	digest=$(layerctl show v@1 --json | jq -r .version.digest)
	[ "$(layerctl cat "$digest:content")" = content ]
	[ "$(layerctl cat "${digest:0:19}:/content")" = content ]
	json_is 8 .size layerctl cat v@1:content
}

@test "what cannot be shown is refused with the reason" {
	make_versions
	fails 3 'v has no "nothing"; "layerctl ls v:/"' layerctl cat v:/nothing
	fails 3 'v@1 has no "content/x"' layerctl cat v@1:content/x
	fails 3 'no "dir/\.\./content"' layerctl cat v:/dir/../content
	fails 1 'dir is a directory; `layerctl ls v:/dir`' layerctl cat v:/dir
	fails 2 'link is a symbolic link to elsewhere' layerctl cat v:/link
	fails 2 'v has no path' layerctl cat v
	fails 3 'v has no "nothing"' layerctl ls v:/nothing
	fails 3 'no tag' layerctl ls v:nothing
	fails 2 'REF' layerctl diff
}

@test "a sparse file is written with its holes as zeros" {
	mkdir src
	truncate -s 3M src/sparse
	printf data | dd of=src/sparse bs=1M seek=1 conv=notrunc status=none
	layerctl new v --from src
	layerctl cat v:/sparse | cmp - src/sparse
}

@test "names of any bytes can be listed and read" {
	mkdir src
	echo data >$'src/a \xff\n\\b'
	layerctl new v --from src
	[ "$(layerctl ls v@1)" = 'a \xff\x0a\x5cb' ]
	[ "$(layerctl cat 'v@1:a \xff\x0a\x5cb')" = data ]
	[ "$(layerctl cat $'v:/a \xff\n\\b')" = data ]
}
