#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a tree with one of every kind of thing a version must keep.

The same tree every time, by a fixed seed, so that it can be made twice and
compared. Needs root. --big adds files of several hundred MiB and of several
GiB; --plain leaves out what tar tools cannot bring back under its own name or
at all (sockets, names that begin with ".wh.", paths of more than PATH_MAX).
"""

import argparse
import os
import random
import resource
import socket
import stat
import struct

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
SECOND = 10**9
DAY = 86400 * SECOND

# What a file system with 64 KiB for an inode's attributes would hold is beyond
# ext4, which has one block for all of them.
LARGE_XATTR = 3000


class Tree:
    def __init__(self, root, seed):
        self.root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.random = random.Random(seed)
        self.times = []
        self.clock = 1_500_000_000 * SECOND

    def bytes(self, n):
        return self.random.randbytes(n)

    def at(self, path):
        """A directory and a name in it, by steps, however long the path."""
        steps = path.split(b"/")
        fd = os.dup(self.root)
        for step in steps[:-1]:
            sub = os.open(step, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = sub
        return fd, steps[-1]

    def done(self, path, mtime=None, uid=None, gid=None, mode=None):
        """Owner and mode now; times at the end, when nothing changes them."""
        fd, name = self.at(path)
        if uid is not None:
            os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
        if mode is not None:
            os.chmod(b"/proc/self/fd/%d/%s" % (fd, name), mode)
        os.close(fd)
        if mtime is None:
            self.clock += 1_234_567_891
            mtime = self.clock
        self.times.append((path, mtime))

    def mkdir(self, path, **kw):
        fd, name = self.at(path)
        os.mkdir(name, 0o755, dir_fd=fd)
        os.close(fd)
        self.done(path, **kw)

    def file(self, path, data=b"", **kw):
        fd, name = self.at(path)
        out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644,
                      dir_fd=fd)
        while data:
            data = data[os.write(out, data):]
        os.close(out)
        os.close(fd)
        self.done(path, **kw)

    def sparse(self, path, size, runs):
        """A file of size bytes with data at the runs only."""
        fd, name = self.at(path)
        out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644,
                      dir_fd=fd)
        os.ftruncate(out, size)
        for offset, length in runs:
            os.pwrite(out, self.bytes(length), offset)
        os.close(out)
        os.close(fd)
        self.done(path)

    def symlink(self, path, target, **kw):
        fd, name = self.at(path)
        os.symlink(target, name, dir_fd=fd)
        os.close(fd)
        self.done(path, **kw)

    def link(self, old, new):
        old_fd, old_name = self.at(old)
        fd, name = self.at(new)
        os.link(old_name, name, src_dir_fd=old_fd, dst_dir_fd=fd,
                follow_symlinks=False)
        os.close(fd)
        os.close(old_fd)

    def node(self, path, kind, major=0, minor=0, **kw):
        fd, name = self.at(path)
        os.mknod(name, kind | 0o640, os.makedev(major, minor), dir_fd=fd)
        os.close(fd)
        self.done(path, **kw)

    def socket(self, path):
        fd, name = self.at(path)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(b"/proc/self/fd/%d/%s" % (fd, name))
        os.close(fd)

    def xattr(self, path, name, value):
        fd, base = self.at(path)
        os.setxattr(b"/proc/self/fd/%d/%s" % (fd, base), name, value,
                    follow_symlinks=False)
        os.close(fd)

    def finish(self):
        """Deepest first: a directory's time changes with what is in it."""
        for path, mtime in reversed(self.times):
            fd, name = self.at(path)
            os.utime(name, ns=(mtime, mtime), dir_fd=fd, follow_symlinks=False)
            os.close(fd)
        os.utime(self.root, ns=(self.clock, self.clock))


def sizes(t):
    t.mkdir(b"sizes")
    for n in (0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537,
              131071, 131072, 131073, MIB - 1, MIB, MIB + 1, 5 * MIB + 321):
        t.file(b"sizes/%d" % n, t.bytes(n))
    t.file(b"sizes/zeros", bytes(300 * KIB))
    t.file(b"sizes/text", b"the same line over and over\n" * 40000)


def sparse(t):
    t.mkdir(b"sparse")
    t.sparse(b"sparse/all-hole", 10 * MIB, [])
    t.sparse(b"sparse/all-hole-odd", 12345, [])
    t.sparse(b"sparse/one-byte-file-of-hole", 1, [])
    t.sparse(b"sparse/hole-first", 3 * MIB, [(2 * MIB, MIB)])
    t.sparse(b"sparse/hole-middle", 3 * MIB, [(0, MIB), (2 * MIB, MIB)])
    t.sparse(b"sparse/hole-last", 3 * MIB + 17, [(0, MIB)])
    t.sparse(b"sparse/data-in-last-byte", 8 * MIB + 1, [(8 * MIB, 1)])
    t.sparse(b"sparse/many-small", 8 * MIB,
             [(i * 8 * KIB, 4 * KIB) for i in range(1024)])
    t.sparse(b"sparse/uneven", 16 * MIB,
             [(i * i * 4 * KIB, 4 * KIB * (1 + i % 3)) for i in range(2, 60)])


def links(t):
    for d in (b"links", b"links/a", b"links/b", b"links/b/c"):
        t.mkdir(d)
    t.file(b"links/a/one", t.bytes(1000))
    t.link(b"links/a/one", b"links/b/two")
    t.link(b"links/a/one", b"links/b/c/three")
    t.file(b"links/z-last", t.bytes(200 * KIB))
    t.link(b"links/z-last", b"links/a/first")
    t.file(b"links/empty")
    t.link(b"links/empty", b"links/b/empty too")
    t.symlink(b"links/symlink", b"a/one")
    t.link(b"links/symlink", b"links/b/same symlink")
    t.node(b"links/fifo", stat.S_IFIFO)
    t.link(b"links/fifo", b"links/b/same fifo")
    t.file(b"links/metered", t.bytes(70))
    for i in range(300):
        t.link(b"links/metered", b"links/b/metered-%d" % i)


def symlinks(t):
    t.mkdir(b"symlinks")
    for n in (1, 59, 60, 61, 99, 100, 101, 255, 511, 512, 513, 4000, 4095):
        target = (b"0123456789/" * 400)[:n]
        t.symlink(b"symlinks/to-%d" % n, target, uid=n, gid=n)
    t.symlink(b"symlinks/dangling", b"/no/such/thing")
    t.symlink(b"symlinks/not utf-8", b"\xff\xfe\n\\ \"'")
    t.symlink(b"symlinks/dots", b"../../../../etc/passwd")
    t.symlink(b"symlinks/self", b"self", mtime=-5 * DAY - 1)


def specials(t):
    t.mkdir(b"specials")
    t.node(b"specials/fifo", stat.S_IFIFO, uid=7, gid=8)
    t.node(b"specials/char", stat.S_IFCHR, 1, 3)
    t.node(b"specials/char-large", stat.S_IFCHR, 511, 1048575)
    t.node(b"specials/block", stat.S_IFBLK, 7, 200)
    t.node(b"specials/block-large", stat.S_IFBLK, 4095, 65536)
    t.node(b"specials/block-0-0", stat.S_IFBLK, 0, 0)
    t.node(b"specials/char-0-1", stat.S_IFCHR, 0, 1)


def names(t):
    t.mkdir(b"names")
    odd = [
        b"-", b"--", b"-rf", b"--checkpoint=1", b" ", b"  two  ", b"\n",
        b"new\nline", b"\ttab", b"back\\slash", b"\\x41", b"\\101", b"quote'",
        b'double"quote', b"`tick`", b"$HOME", b"$(id)", b"*", b"?", b"[a-z]",
        b"{a,b}", b"~", b"#", b"!", b"&", b";", b"|", b"<", b">", b"%s%n",
        b"=", b"a=b", b"@", b"...", b"..a", b".a", b"a.", b"\x7f", b"\x01",
        b"\x1b[31m", b"\x80", b"\xff", b"\xff\xfe\xfd", b"caf\xe9",
        "café".encode(), "cafe\u0301".encode(), "日本語".encode(),
        "🙂".encode(), b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"C:\\path",
        b"x" * 99, b"x" * 100, b"x" * 101, b"x" * 155, b"x" * 255,
        b"\xff" * 255, ("ä" * 127).encode() + b"z", b"GNUSparseFile.0",
        b"PaxHeaders.0", b"././@LongLink", b"lost+found", b"trailing/"[:-1]
    ]
    for i, name in enumerate(n for n in odd if b"/" not in n):
        t.file(b"names/" + name, b"%d" % i)
    t.mkdir(b"names/dir \xff\n")
    t.file(b"names/dir \xff\n/-\n", b"in an odd directory")
    # Where "/" sorts matters for these.
    for d in (b"a", b"a.b", b"a-b", b"a b", b"a0", b"a\x01"):
        t.mkdir(b"names/order-" + d)
        t.file(b"names/order-" + d + b"/f", d)


def whiteout_names(t):
    t.mkdir(b"names/wh")
    for name in (b".wh.", b".wh.a", b".wh..wh..opq", b".wh..wh.esc.a",
                 b".wh..wh.esc..wh.a", b".wh..wh.plnk", b".wh", b".wh.\xff\n",
                 b".wh." + b"l" * 251):
        t.file(b"names/wh/" + name, name)
    t.mkdir(b"names/wh/.wh.dir")
    t.file(b"names/wh/.wh.dir/f", b"below")
    t.file(b"names/wh/a", b"not hidden by .wh.a")
    t.link(b"names/wh/.wh.a", b"names/wh/linked to .wh.a")


def deep(t, levels):
    t.mkdir(b"deep")
    path = b"deep"
    for i in range(levels):
        path += b"/" + b"%03d" % i + b"d" * 97
        t.mkdir(path)
    t.file(path + b"/bottom", b"at the bottom")
    t.symlink(path + b"/link", b"bottom")
    t.link(path + b"/bottom", b"deep/linked-from-the-bottom")
    path = b"deep/steps"
    t.mkdir(path)
    for i in range(300):
        path += b"/s"
        t.mkdir(path)
    t.file(path + b"/f", b"300 levels")


def directories(t):
    t.mkdir(b"dirs")
    t.mkdir(b"dirs/empty")
    t.mkdir(b"dirs/empty-sticky", uid=1, gid=2, mode=0o1777)
    t.mkdir(b"dirs/empty-setgid", uid=1, gid=2, mode=0o2750)
    t.mkdir(b"dirs/huge")
    for i in range(20000):
        t.file(b"dirs/huge/%s-%d" % (b"n" * (i % 40), i), b"%d" % (i % 7))


def modes(t):
    t.mkdir(b"modes")
    for mode in list(range(0, 0o1000, 0o11)) + [
            0o1000, 0o2000, 0o4000, 0o7777, 0o6755, 0o4711, 0o2755, 0o1644]:
        t.file(b"modes/%04o" % mode, b"m", mode=mode)
    for mode in (0o0, 0o7777, 0o700, 0o2775):
        t.mkdir(b"modes/dir-%04o" % mode, mode=mode)
    for i, uid in enumerate((1, 1000, 65534, 65535, 65536, 2**21 - 1, 2**21,
                             2**21 + 1, 2**31 - 1, 2**31, 2**32 - 2)):
        t.file(b"modes/uid-%d" % uid, b"u", uid=uid, gid=uid - i, mode=0o4751)
        t.mkdir(b"modes/uid-dir-%d" % uid, uid=uid, gid=uid - i)


def times(t):
    t.mkdir(b"times")
    # ext4 ends in 2446.
    for ns in (0, 1, 999_999_999, SECOND, -1, -500_000_000, -999_999_999,
               -SECOND, -SECOND - 1, -1_500_000_000, -DAY, -(2**31) * SECOND,
               -(2**31) * SECOND + 1, (2**31 - 1) * SECOND + 999_999_999,
               2**31 * SECOND, 2**32 * SECOND + 5, 2**33 * SECOND + 123_456_789,
               8**11 * SECOND, 15_000_000_000 * SECOND + 1,
               1_234_567_890_123_456_789, 1_600_000_000_100_000_000,
               1_600_000_000_000_000_001):
        t.file(b"times/%d" % ns, b"t", mtime=ns)
    t.mkdir(b"times/dir-before-1970", mtime=-1_234_567_891)
    t.node(b"times/fifo-before-1970", stat.S_IFIFO, mtime=-1)
    t.symlink(b"times/symlink-before-1970", b"x", mtime=-500_000_000)


def acl(entries):
    """The kernel's form of a POSIX ACL: linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *e) for e in entries)


def attributes(t):
    user, group, mask, other = 0x02, 0x08, 0x10, 0x20
    nobody = 0xffffffff
    t.mkdir(b"xattrs")
    rules = acl([(0x01, 6, nobody), (user, 4, 1000), (user, 7, 2**32 - 2),
                 (0x04, 4, nobody), (group, 5, 65534), (mask, 7, nobody),
                 (other, 0, nobody)])
    t.file(b"xattrs/user", b"x")
    t.xattr(b"xattrs/user", "user.plain", b"value")
    t.xattr(b"xattrs/user", "user.empty", b"")
    t.xattr(b"xattrs/user", "user.binary", bytes(range(256)))
    t.xattr(b"xattrs/user", "user.newline=equals", b"a\nb=c\n")
    t.xattr(b"xattrs/user", "user.\xe9\u65e5".encode(), b"\xff")
    t.file(b"xattrs/large", b"x")
    t.xattr(b"xattrs/large", "user.large", t.bytes(LARGE_XATTR))
    t.file(b"xattrs/long name", b"x")
    t.xattr(b"xattrs/long name", "user." + "n" * 250, b"long")
    t.file(b"xattrs/many", b"x")
    for i in range(60):
        t.xattr(b"xattrs/many", "user.n%d" % i, b"%d" % i)
    t.file(b"xattrs/trusted", b"x")
    t.xattr(b"xattrs/trusted", "trusted.t", b"trusted")
    t.xattr(b"xattrs/trusted", "trusted.overlayish", b"not overlayfs'")
    t.file(b"xattrs/security", b"x")
    t.xattr(b"xattrs/security", "security.s", b"\x00\x01\x02")
    t.file(b"xattrs/capability", b"x", mode=0o755)
    t.xattr(b"xattrs/capability", "security.capability",
            struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    t.file(b"xattrs/acl", b"x", mode=0o640)
    t.xattr(b"xattrs/acl", "system.posix_acl_access", rules)
    t.file(b"xattrs/acl-small", b"x", mode=0o640)
    t.xattr(b"xattrs/acl-small", "system.posix_acl_access",
            acl([(0x01, 6, nobody), (user, 4, 1000), (0x04, 4, nobody),
                 (mask, 5, nobody), (other, 0, nobody)]))
    t.mkdir(b"xattrs/acl-dir")
    t.xattr(b"xattrs/acl-dir", "system.posix_acl_access", rules)
    t.xattr(b"xattrs/acl-dir", "system.posix_acl_default", rules)
    t.mkdir(b"xattrs/dir")
    t.xattr(b"xattrs/dir", "user.on.a.directory", b"1")
    t.symlink(b"xattrs/symlink", b"nowhere")
    t.xattr(b"xattrs/symlink", "trusted.on.a.symlink", b"1")
    t.node(b"xattrs/fifo", stat.S_IFIFO)
    t.xattr(b"xattrs/fifo", "trusted.on.a.fifo", b"1")
    for i in range(200):
        t.file(b"xattrs/shared-%d" % i)
        t.xattr(b"xattrs/shared-%d" % i, "user.shared", b"the same for all")


def sockets(t):
    t.mkdir(b"sockets")
    t.socket(b"sockets/one")
    t.socket(b"sockets/two")
    t.file(b"sockets/beside", b"f")


def big(t):
    t.mkdir(b"big")
    block = t.bytes(8 * MIB)
    fd, name = t.at(b"big/300-mib")
    with open(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd),
              "wb") as out:
        for i in range(300 // 8):
            out.write(struct.pack("<Q", i) + block[8:])
        out.write(block[:4 * MIB + 3])
    os.close(fd)
    t.done(b"big/300-mib")
    t.sparse(b"big/5-gib", 5 * GIB + MIB,
             [(0, MIB), (GIB, 2 * MIB), (4 * GIB - MIB, 2 * MIB),
              (5 * GIB, MIB)])
    t.sparse(b"big/3-gib-hole", 3 * GIB, [])


def main():
    parser = argparse.ArgumentParser(description="Makes a test tree.")
    parser.add_argument("root")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o022)
    os.makedirs(options.root, exist_ok=True)
    t = Tree(options.root, options.seed)
    for part in (sizes, sparse, links, symlinks, specials, names,
                 directories, modes, times, attributes):
        part(t)
    deep(t, 38 if options.plain else 60)
    if not options.plain:
        whiteout_names(t)
        sockets(t)
    if options.big:
        big(t)
    os.chown(t.root, 12, 34)
    os.chmod(t.root, 0o1751)
    os.setxattr(t.root, "user.on.the.root", b"1")
    t.finish()


main()
