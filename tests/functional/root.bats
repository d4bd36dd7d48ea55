# SPDX-License-Identifier: Apache-2.0
#
# The root directory of a volume, which a session's mount has from the version
# below.

load helper

as_user() {
	setpriv --reuid "$1" --clear-groups "${@:2}"
}

setup_private() {
	chmod 755 "$T"
	mkdir src
	setfattr -n user.root -v mine src
	setfattr -n trusted.overlay.opaque -v y src
	touch src/f
	chown 1000 src
	chmod 700 src
	touch -d '2001-02-03 04:05:06' src
	layerctl new v --from src
	layerctl mount v m
}

@test "a session's root lets in whom the version's root lets in" {
	setup_private
	as_user 1000 touch m/mine
	fails 2 'Permission denied' as_user 2000 ls m
}

@test "a session's root has the attributes of the version's root" {
	setup_private
	dump src >want
	dump m >got
	same_dump want got
	layerctl commit v
	layerctl mount --ro v@2 m2
	dump m2 >got
	layerctl unmount m2
	same_dump want got
	layerctl finalize v
	json_is '[1,1]' '[.version.changed, (.version.layers | length)]' \
		layerctl show v@1
	json_is 1 '.version.layers | length' layerctl show v
}
