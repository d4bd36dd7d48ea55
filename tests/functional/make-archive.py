#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an archive that tools do not write: make-archive.py WHAT FILE.

Each function below is one archive: what it returns, or the tarball t that it is
given; those of refused() must be refused, with a sentence that matches.
make-archive.py --refused DIR writes all of them and lists their names and
patterns.
"""

import inspect
import io
import json
import os
import struct
import sys
import tarfile

MADE = {}
REFUSED = {}


def made(f):
    def make():
        if not inspect.signature(f).parameters:
            return f()
        t = Tar()
        return f(t) or t.end()
    MADE[f.__name__.replace("_", "-")] = make
    return f


def refused(pattern):
    def note(f):
        REFUSED[f.__name__.replace("_", "-")] = pattern
        return made(f)
    return note


class Tar:
    """A pax tarball; raw blocks can be put between its entries."""

    def __init__(self, format=tarfile.PAX_FORMAT):
        self.out = io.BytesIO()
        self.format = format

    def add(self, name, data=b"", type=tarfile.REGTYPE, target="", mode=0o644,
            pax=None, **fields):
        t = tarfile.TarInfo(name)
        t.type, t.linkname, t.mode, t.size = type, target, mode, len(data)
        t.mtime = 1_000_000_000
        t.pax_headers = pax or {}
        for key, value in fields.items():
            setattr(t, key, value)
        self.raw(t.tobuf(self.format, "utf-8", "surrogateescape"))
        self.raw(data + bytes(-len(data) % 512))

    def dir(self, name, **kw):
        self.add(name, type=tarfile.DIRTYPE, mode=0o755, **kw)

    def link(self, name, target):
        self.add(name, type=tarfile.LNKTYPE, target=target)

    def symlink(self, name, target):
        self.add(name, type=tarfile.SYMTYPE, target=target)

    def raw(self, data):
        self.out.write(data)

    def end(self):
        self.raw(bytes(1024))
        return self.out.getvalue()


def records(*pairs):
    out = b""
    for key, value in pairs:
        body = b" %s=%s\n" % (key, value)
        n = len(body)
        while len(b"%d" % n) + len(body) != n:
            n += 1
        out += b"%d%s" % (n, body)
    return out


def special(type, data):
    t = tarfile.TarInfo("special")
    t.type, t.size = type, len(data)
    return t.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def with_size(field):
    """A header whose size field is what it is."""
    block = bytearray(tarfile.TarInfo("huge").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


# What leads out of the layer.

@refused(r'entry "\.\./x" has a path that leads out')
def dot_dot(t):
    t.add("../x", b"x")


@refused(r'entry "a/\.\./\.\./x" has a path that leads out')
def dot_dot_within(t):
    t.dir("a")
    t.add("a/../../x", b"x")


@refused(r'entry "h" has a hard link that leads out')
def hard_link_out(t):
    t.link("h", "../../../etc/shadow")


@refused(r'"h" is a hard link to "etc/shadow", which does not precede it')
def hard_link_absolute(t):
    t.link("h", "/etc/shadow")


@refused(r'"h" is a hard link to "nothing", which does not precede it')
def hard_link_to_nothing(t):
    t.add("f", b"x")
    t.link("h", "nothing")


@refused(r'"h" is a hard link to "f", which does not precede it')
def hard_link_before_its_target(t):
    t.link("h", "f")
    t.add("f", b"x")


@refused(r'"h" is a hard link to "d", which is not a file')
def hard_link_to_a_directory(t):
    t.dir("d")
    t.link("h", "d")


@refused(r'"a/passwd" cannot be indexed: one of the directories on its way')
def through_a_symlink(t):
    t.symlink("a", "/etc")
    t.add("a/passwd", b"root::0:0::/:/bin/sh\n")


@refused(r'"a" is a hard link to "s/shadow", which does not precede it')
def hard_link_through_a_symlink(t):
    t.symlink("s", "/etc")
    t.link("a", "s/shadow")


@refused(r'"f/x" cannot be indexed: one of the directories on its way')
def below_a_file(t):
    t.add("f", b"x")
    t.add("f/x", b"x")


# Absurd sizes and headers without end.

@refused(r'entry "huge" has data beyond the end of the tarball|damaged')
def size_8_eib():
    return with_size(b"\x80\0\0\0\x7f" + b"\xff" * 7) + bytes(1024)


@refused("damaged")
def size_negative():
    return with_size(b"\xff" * 12) + bytes(1024)


@refused('entry "f" has data beyond the end of the tarball')
def size_in_records():
    return special(b"x", records((b"size", b"9223372036854775000"))) + \
        tarfile.TarInfo("f").tobuf() + bytes(1024)


@refused("damaged|broken")
def extended_header_of_2_mib(t):
    t.raw(special(b"x", records((b"comment", b"c" * (2 << 20)))))
    t.add("f")


@refused("damaged|broken")
def extended_headers_without_end(t):
    for _ in range(100000):
        t.raw(special(b"g", records((b"comment", b"c"))))
    t.add("f")


@refused("more than 6 MiB of headers")
def map_of_holes_without_end(t):
    runs = b"%d\n" % (5 << 20) + b"0\n0\n" * (5 << 20)
    t.raw(special(b"x", records(
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", b"f"), (b"GNU.sparse.realsize", b"8192"))))
    t.add("f", runs)


@refused("damaged|broken")
def attribute_of_70000_bytes(t):
    t.add("f", pax={"SCHILY.xattr.user.x": "v" * 70000})


@refused("damaged|broken")
def attributes_without_end(t):
    t.add("f", pax={"SCHILY.xattr.user.%d" % i: "v" for i in range(10000)})


@refused("has a path that leads out of the layer or is too long")
def name_of_256_bytes(t):
    t.add("d/" + "n" * 256)


@refused("link target of more than 4095 bytes")
def symlink_of_4096_bytes(t):
    t.symlink("s", "t" * 4096)


@refused("broken pax records|damaged")
def name_with_nul(t):
    t.raw(special(b"x", records((b"path", b"a\0b"))))
    t.add("f")


# Archives that were cut off.

@refused("cut off|damaged")
def cut_in_a_payload(t):
    t.add("f", b"x" * 100000)
    return t.out.getvalue()[:50000]


@refused("damaged")
def cut_in_a_header(t):
    t.add("f", b"x")
    return t.out.getvalue() + tarfile.TarInfo("g").tobuf()[:300]


@refused("damaged")
def another_checksum(t):
    t.add("f", b"x")
    block = bytearray(tarfile.TarInfo("g").tobuf())
    block[0] ^= 1
    t.raw(bytes(block))


# cpio.

def newc(path, mode, data=b"", **kw):
    f = dict(ino=1, mode=mode, uid=0, gid=0, nlink=1, mtime=10**9,
             size=len(data), major=0, minor=0, rmajor=0, rminor=0,
             name=len(path) + 1, check=0)
    f.update(kw)
    out = b"070701" + b"".join(b"%08x" % v for v in f.values())
    out += path + b"\0"
    out += bytes(-len(out) % 4)
    return out + data + bytes(-len(data) % 4)


TRAILER = newc(b"TRAILER!!!", 0)


@refused(r'entry "\.\./x" has a path that leads out')
def cpio_dot_dot():
    return newc(b"../x", 0o100644, b"x") + TRAILER


@refused("one of the directories on its way")
def cpio_through_a_symlink():
    return newc(b"a", 0o120777, b"/etc") + \
        newc(b"a/passwd", 0o100644, b"x") + TRAILER


@refused("has no end|damaged or was cut off")
def cpio_of_4_gib():
    return newc(b"f", 0o100644, b"x", size=0xffffffff) + TRAILER


@refused("a name without length or without end")
def cpio_name_of_4_gib():
    return newc(b"f", 0o100644, b"x", name=0xffffffff) + TRAILER


@refused("has no end|damaged or was cut off")
def cpio_without_trailer():
    return newc(b"f", 0o100644, b"x")


@refused("no header where there must be one")
def cpio_with_garbage():
    return newc(b"f", 0o100644, b"x") + b"garbage" * 100 + TRAILER


@made
def cpio_harmless():
    return newc(b"/abs", 0o100644, b"abs") + \
        newc(b".wh.kept", 0o100644, b"a user's own name") + \
        newc(b"null", 0o020666, rmajor=0, rminor=0) + \
        newc(b"suid", 0o104755, b"x") + TRAILER


# What is odd and is imported.

@made
def absolute(t):
    t.dir("/")
    t.dir("/d/")
    t.add("/d/f", b"f")
    t.add("//d//./g", b"g")
    t.link("/d/h", "/d/f")
    t.add("./e", b"e")
    t.add("implied/dir/f", b"i")


@made
def twice(t):
    """Names that come more than once, of the same and of another type."""
    t.add("same", b"first")
    t.add("file-then-link", b"first")
    t.symlink("link-then-file", "same")
    t.add("file-then-fifo", b"first")
    t.add("file-then-dir", b"first")
    t.dir("dir")
    t.add("dir/kept", b"kept")
    t.add("target", b"old")
    t.link("linked", "target")
    t.add("same", b"second")
    t.symlink("file-then-link", "same")
    t.add("link-then-file", b"second")
    t.add("file-then-fifo", type=tarfile.FIFOTYPE)
    t.dir("file-then-dir")
    t.add("file-then-dir/in", b"in")
    t.dir("dir", uid=7)
    t.add("target", b"new")
    t.link("target", "target")


OVERLAY = {
    "SCHILY.xattr.trusted.overlay.opaque": "y",
    "SCHILY.xattr.trusted.overlay.redirect": "/other",
    "SCHILY.xattr.trusted.overlay.metacopy": "",
    "SCHILY.xattr.trusted.overlay.overlay.opaque": "y",
    "SCHILY.xattr.trusted.overlay.origin": "x",
    "SCHILY.xattr.user.overlay.opaque": "y",
    "SCHILY.xattr.user.overlay.overlay.whiteout": "",
    "SCHILY.xattr.user.kept": "kept",
}


@made
def overlay(t):
    """What would act on overlayfs."""
    t.dir("d", pax=OVERLAY)
    t.add("d/f", b"f", pax=OVERLAY)
    t.dir("other")
    t.add("other/hidden?", b"no")
    t.add("zero", type=tarfile.CHRTYPE, devmajor=0, devminor=0)
    t.add("d/zero", type=tarfile.CHRTYPE, devmajor=0, devminor=0)
    t.add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)


@made
def whiteouts(t):
    t.dir("d")
    t.add("d/.wh..wh..opq")
    t.add("d/f", b"f")
    t.add(".wh.gone")
    t.add("d/.wh.gone")
    t.add(".wh..wh.plnk", b"of another tool")


@made
def odd_names(t):
    t.add("new\nline", b"1")
    t.add("tab\tand \x1b[31mred", b"2")
    t.add("n" * 255, b"3")
    t.add("-rf *", b"5")
    t.raw(special(b"x", records((b"path", b"\xff\xfe not UTF-8"))))
    t.add("f", b"6")
    t.raw(special(b"L", b"/".join([b"d" * 100] * 60) + b"/deep\0"))
    t.add("f", b"7")


@made
def setuid(t):
    t.add("suid", b"#!/bin/sh\n", mode=0o6755)
    t.add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)


@made
def misplaced_attributes(t):
    user = {"SCHILY.xattr.user.x": "y"}
    t.add("file", b"f", pax=user)
    t.add("link", type=tarfile.SYMTYPE, target="file", pax=user)
    t.add("fifo", type=tarfile.FIFOTYPE, pax=user)


@made
def no_entries():
    return bytes(10240)


@made
def followed(t):
    """GNU tar stops at the first end."""
    t.add("f", b"f")
    first = t.end()
    t = Tar()
    t.add("second", b"s")
    return first + t.end() + b"and garbage, not a multiple of 512"


@made
def lone_zero_block(t):
    t.add("f", b"f")
    t.raw(bytes(512))
    return t.out.getvalue()


@made
def no_end(t):
    t.add("f", b"f")
    return t.out.getvalue()


def sparse(t, name, size, runs, data):
    """As GNU tar does, with an empty run at the end of a hole there."""
    if not runs or sum(runs[-1]) < size:
        runs = runs + [(size, 0)]
    map = b"%d\n" % len(runs) + b"".join(b"%d\n%d\n" % r for r in runs)
    map += bytes(-len(map) % 512)
    t.raw(special(b"x", records(
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", name), (b"GNU.sparse.realsize", b"%d" % size))))
    t.add("GNUSparseFile.0/f", map + data)


@refused("a map of holes that can be read in two ways")
def runs_of_odd_sizes(t):
    """GNU tar pads each run to a block, libarchive does not."""
    sparse(t, b"f", 20000, [(0, 100), (4096, 412)], b"a" * 512)


@made
def holes_at_odd_places(t):
    """Runs that no index can point to, beside files that it could."""
    t.dir("d", uid=5)
    t.add("d/before", b"before")
    sparse(t, b"d/odd", 20000, [(0, 512), (777, 1024), (9000, 5000)],
           b"a" * 512 + b"b" * 1024 + b"c" * 5000)
    sparse(t, b"d/even", 16384, [(4096, 4096)], b"d" * 4096)
    sparse(t, b"d/none", 30000, [(30000, 0)], b"")
    sparse(t, b"d/no-holes", 3000, [(0, 1024), (1024, 1976)], b"e" * 3000)
    t.link("d/hard", "d/odd")
    t.add("d/.wh.gone")
    t.add("d/.wh..wh..opq")
    t.add("d/large", bytes(range(256)) * 1000, pax={"SCHILY.xattr.user.x": "y"})


@made
def holes_beyond_the_table(t):
    """As of a disk image: runs of 4 KiB, far from one another."""
    runs = [(i << 20, 4096) for i in range(300)] + [((1 << 40) - 4096, 4096)]
    sparse(t, b"image", 1 << 40, runs, b"".join(
        struct.pack("<Q", i) * 512 for i in range(301)))


@made
def docker_save():
    """The layout of docker save: layers as files, a manifest in JSON."""
    layer = Tar()
    layer.add("etc/motd", b"hello\n")
    layer = layer.end()
    id = "0" * 64
    t = Tar(tarfile.USTAR_FORMAT)
    t.dir(id + "/")
    t.add(id + "/VERSION", b"1.0")
    t.add(id + "/json", b"{}")
    t.add(id + "/layer.tar", layer)
    t.add("manifest.json", json.dumps([{
        "Config": "c.json", "RepoTags": ["x:latest"],
        "Layers": [id + "/layer.tar"]}]).encode())
    t.add("c.json", b"{}")
    t.add("repositories", b'{"x":{"latest":"%s"}}' % id.encode())
    return t.end()


@made
def npm_pack():
    """What npm pack writes, before it is gzipped: no directories, one time."""
    t = Tar(tarfile.USTAR_FORMAT)
    for name, data in (("package.json", b'{"name":"x","version":"1.0.0"}'),
                       ("lib/index.js", b"module.exports = 1\n"),
                       ("README.md", b"# x\n")):
        t.add("package/" + name, data, mtime=499162500)
    return t.end()


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)


def main():
    what, path = sys.argv[1:]
    if what != "--refused":
        write(path, MADE[what]())
        return
    for name, pattern in REFUSED.items():
        write(os.path.join(path, name), MADE[name]())
        print(name, pattern, sep="\t")


main()
