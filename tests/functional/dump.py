#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints everything a version must keep of a tree, one line an object.

Lines are in order of the path's bytes, and every byte of a name or a value that
is not plain ASCII is written as \\xNN, so two dumps of equal trees are equal
byte for byte in any locale. Each line has type, mode, owner, time of last
change in nanoseconds, device number, target, extended attributes, the name a
hard link is linked with, size, content hash and hole map.

What an overlay and a disk legitimately differ in can be left out: see --help.
Directories are walked by descriptors, so that no path is too long.
"""

import argparse
import errno
import hashlib
import os
import resource
import stat
import sys
import time

TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFBLK: "block",
    stat.S_IFCHR: "char",
    stat.S_IFSOCK: "socket",
}
BLOCK = 1 << 20


def escape(data):
    """Bytes as ASCII without spaces."""
    return "".join(
        chr(b) if 33 <= b < 127 and b != 92 else "\\x%02x" % b for b in data)


def value(data):
    if len(data) > 64:
        return "sha256:%s:%d" % (hashlib.sha256(data).hexdigest(), len(data))
    return escape(data)


def xattrs(path):
    """Of a path that is not followed; none where there can be none."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as e:
        if e.errno == errno.EOPNOTSUPP:
            return []
        raise
    found = []
    for name in names:
        data = os.getxattr(path, name, follow_symlinks=False)
        found.append((os.fsencode(name), data))
    return ["%s=%s" % (escape(n), value(v)) for n, v in sorted(found)]


def holes(fd, size):
    """The runs of data as offset+length."""
    runs = []
    at = 0
    while at < size:
        try:
            data = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:
                break
            raise
        at = min(os.lseek(fd, data, os.SEEK_HOLE), size)
        runs.append("%d+%d" % (data, at - data))
    return runs


def block(fd, offset):
    """A whole block, or what there is of the last one."""
    data = b""
    while len(data) < BLOCK:
        more = os.pread(fd, BLOCK - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def content(fd, size):
    """Of the blocks that are not all zeros, and where they are. Holes are read,
    too, but of a large one only the first and the last block."""
    h = hashlib.sha256()
    zeros = bytes(BLOCK)
    offset = 0
    while True:
        data = block(fd, offset)
        if not data:
            return h.hexdigest()
        if data != zeros[:len(data)]:
            h.update(b"%d:" % offset)
            h.update(data)
        offset += len(data)
        if data != zeros or offset >= size:
            continue
        try:
            end = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            end = size
        offset = max(offset, end // BLOCK * BLOCK - BLOCK)


class Dump:
    def __init__(self, options):
        self.options = options
        self.now = time.time_ns()
        self.links = {}

    def mtime(self, st):
        since = self.options.mask_since
        if since is not None and since <= st.st_mtime_ns <= self.now:
            return "mtime=new"
        return "mtime=%d" % st.st_mtime_ns

    def file(self, dir_fd, name):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME
        fd = os.open(name, flags, dir_fd=dir_fd)
        try:
            size = os.fstat(fd).st_size
            fields = ["size=%d" % size]
            if not self.options.no_holes:
                runs = holes(fd, size)
                text = ",".join(runs)
                if len(text) > 120:
                    text = "%d:%s" % (
                        len(runs),
                        hashlib.sha256(text.encode()).hexdigest())
                fields.append("data=" + text)
            fields.append("sha256=" + content(fd, size))
            return fields
        finally:
            os.close(fd)

    def fields(self, dir_fd, name, path, st):
        kind = stat.S_IFMT(st.st_mode)
        fields = [
            escape(path) or ".", TYPES[kind],
            "%04o" % stat.S_IMODE(st.st_mode),
            "%d:%d" % (st.st_uid, st.st_gid),
            self.mtime(st)
        ]
        if kind in (stat.S_IFBLK, stat.S_IFCHR):
            fields.append("rdev=%d:%d" %
                          (os.major(st.st_rdev), os.minor(st.st_rdev)))
        if kind == stat.S_IFLNK:
            fields.append("target=" +
                          escape(os.readlink(os.fsencode(name),
                                             dir_fd=dir_fd)))
        if not self.options.no_xattrs:
            proc = b"/proc/self/fd/%d/%s" % (dir_fd, os.fsencode(name))
            fields += [x for x in xattrs(proc)
                       if not x.startswith(tuple(self.options.skip_xattr))]
        # Not by the number of links, in which overlayfs counts lower names.
        if kind != stat.S_IFDIR:
            key = (st.st_dev, st.st_ino)
            if key in self.links:
                fields.append("link=" + escape(self.links[key]))
                return fields
            self.links[key] = path
        if kind == stat.S_IFREG:
            fields += self.file(dir_fd, name)
        return fields

    def object(self, dir_fd, name, path):
        st = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if stat.S_ISSOCK(st.st_mode) and self.options.no_sockets:
            return False
        line = " ".join(self.fields(dir_fd, name, path, st))
        sys.stdout.write(line + "\n")
        return stat.S_ISDIR(st.st_mode)

    def tree(self, root):
        """Depth first, by an explicit stack of open directories."""
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.object(fd, ".", b"")
        stack = [(fd, b"", self.names(fd))]
        while stack:
            fd, path, names = stack[-1]
            if not names:
                os.close(fd)
                stack.pop()
                continue
            name = names.pop()
            below = path + b"/" + name if path else name
            if self.object(fd, name, below):
                sub = os.open(name,
                              os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
                              dir_fd=fd)
                stack.append((sub, below, self.names(sub)))

    @staticmethod
    def names(fd):
        return sorted((os.fsencode(n) for n in os.listdir(fd)), reverse=True)


def main():
    parser = argparse.ArgumentParser(description="Dumps a tree.")
    parser.add_argument("root")
    parser.add_argument("--no-sockets", action="store_true",
                        help="a tarball cannot hold them")
    parser.add_argument("--no-holes", action="store_true",
                        help="overlayfs' copy-up may fill small holes")
    parser.add_argument("--no-xattrs", action="store_true")
    parser.add_argument("--skip-xattr", action="append", default=[],
                        metavar="PREFIX")
    parser.add_argument("--mask-since", type=int, metavar="NS",
                        help="print times since then as 'new'")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Dump(options).tree(options.root)


main()
