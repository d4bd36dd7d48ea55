# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A volume, and a change of each kind that a comparison has a name for.

# The volume v of what is in src, mounted at m.
make_volume() {
	mkdir -p src/dir/below src/gone src/moved src/same
	echo content >src/content
	echo mode >src/mode
	echo owner >src/owner
	echo time >src/time
	echo xattr >src/xattr
	echo type >src/type
	echo removed >src/removed
	echo "some text of its own" >src/moved/old-name
	echo gone >src/gone/file
	echo same >src/same/file
	ln -s there src/link
	layerctl new v --from src
	layerctl mount v m
}

change_mount() {
	echo other >m/content
	chmod 600 m/mode
	chown 7:8 m/owner
	touch -d 2001-02-03 m/time
	setfattr -n user.a -v b m/xattr
	rm -r m/type m/removed m/gone
	mkdir m/type m/added
	echo new >m/added/file
	mv m/moved/old-name m/dir/below/new-name
	ln -sf elsewhere m/link
}

# The differences between src and what m has then.
all_differences() {
	cat <<-'E'
		A  added/
		A  added/file
		M  content  (content, time)
		R  moved/old-name -> dir/below/new-name
		D  gone/
		D  gone/file
		M  link  (content, time)
		M  mode  (mode)
		M  owner  (owner)
		D  removed
		M  time  (time)
		M  type/  (type)
		M  xattr  (xattr)
	E
}
