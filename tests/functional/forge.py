#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts a hostile index into a store, with right digests all the way up.

The index of the topmost layer of a volume's newest version gets a defect; layer
object, manifest, sequence object and head are made anew around it, so that only
a reader of the index itself can tell. Formats: layerd/format/layer-object.c and
layerd/format/erofs-format.h. --list prints the defects there are.

The defects are made for a tree of a directory "d" with a file in it and the
attribute trusted.overlax.redirect, a file "a" and a fifo "p".
"""

import argparse
import hashlib
import os
import re
import struct
import subprocess

SUPER = 1024
DEVICE = 1152
HEAD_END = 1536
SLOT = 32
CHRDEV = 0o020000


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc


class Index:
    """An EROFS image as layerd writes it."""

    def __init__(self, data):
        self.data = bytearray(data)

    def get(self, form, at):
        return struct.unpack_from("<" + form, self.data, at)[0]

    def put(self, form, at, value):
        struct.pack_into("<" + form, self.data, at, value)

    def seal(self):
        """The superblock's checksum, over zeros in its own place."""
        self.put("I", SUPER + 4, 0)
        self.put("I", SUPER + 4, crc32c(self.data[SUPER:HEAD_END]))

    @property
    def root(self):
        return self.get("H", SUPER + 14)

    def inode(self, name):
        return self.get("Q", self.dirent(name)) * SLOT

    def body(self, inode):
        """What is behind an inode and its attributes."""
        count = self.get("H", inode + 2)
        return inode + 64 + (12 + 4 * (count - 1) if count else 0)

    def dirent(self, name):
        """Where the root's entry of that name is; the root is small."""
        inode = self.root * SLOT
        at = self.body(inode)
        end = self.get("Q", inode + 8)
        n = self.get("H", at + 8) // 12
        offsets = [self.get("H", at + 12 * i + 8) for i in range(n)] + [end]
        for i in range(n):
            text = self.data[at + offsets[i]:at + offsets[i + 1]]
            if text.rstrip(b"\0") == name:
                return at + 12 * i
        raise KeyError(name)

    def chunks(self, inode):
        return (self.body(inode) + 7) // 8 * 8


def chunk_beyond_tar(x):
    x.put("I", x.chunks(x.inode(b"a")) + 4, 0x00ffffff)


def chunk_in_image(x):
    x.put("H", x.chunks(x.inode(b"a")) + 2, 0)


def cycle(x):
    x.put("Q", x.dirent(b"d"), x.root)


def two_names_one_link(x):
    x.put("Q", x.dirent(b"d"), x.get("Q", x.dirent(b"a")))
    x.data[x.dirent(b"d") + 10] = x.data[x.dirent(b"a") + 10]


def inode_outside(x):
    x.put("Q", x.dirent(b"a"), 1 << 40)


def huge_file(x):
    x.put("Q", x.inode(b"a") + 8, 1 << 60)


def huge_directory(x):
    x.put("Q", x.inode(b"d") + 8, 1 << 40)


def compressed(x):
    x.put("H", x.inode(b"a"), 1 << 1 | 1)


def hidden_whiteout(x):
    x.put("H", x.inode(b"p") + 4, CHRDEV)
    x.put("I", x.inode(b"p") + 16, 0)
    x.data[x.dirent(b"p") + 10] = 3


def name_with_slash(x):
    at = x.body(x.root * SLOT)
    x.data[at + x.get("H", x.dirent(b"a") + 8)] = ord("/")


def redirect(x):
    at = x.data.index(b"overlax.redirect")
    x.data[at + 6] = ord("y")


def other_tar(x):
    x.data[DEVICE:DEVICE + 64] = b"0" * 64
    x.data[SUPER + 48:SUPER + 64] = bytes(16)
    x.seal()


def root_is_file(x):
    x.put("H", SUPER + 14, x.get("Q", x.dirent(b"a")))
    x.seal()


def other_uuid(x):
    x.data[SUPER + 48:SUPER + 64] = os.urandom(16)
    x.seal()


def other_blocks(x):
    x.data[SUPER + 12] = 12
    x.seal()


def wrong_checksum(x):
    x.put("I", SUPER + 4, x.get("I", SUPER + 4) ^ 1)


def noise_in_inodes(x):
    end = len(x.data)
    x.data[HEAD_END:] = os.urandom(end - HEAD_END)


def noise(x):
    x.data[:] = os.urandom(len(x.data))


def cut_short(x):
    x.put("I", SUPER + 36, 1 << 20)
    x.seal()


DEFECTS = {
    f.__name__.replace("_", "-"): f
    for f in (chunk_beyond_tar, chunk_in_image, cycle, two_names_one_link,
              inode_outside, huge_file, huge_directory, compressed,
              hidden_whiteout, name_with_slash, redirect, other_tar,
              root_is_file, other_uuid, other_blocks, wrong_checksum,
              noise_in_inodes, noise, cut_short)
}


class Store:
    def __init__(self, path):
        self.path = path

    def blob(self, digest):
        return os.path.join(self.path, "blobs/sha256", digest)

    def read(self, path):
        with open(os.path.join(self.path, path), "rb") as f:
            return f.read()

    def write(self, path, data):
        path = os.path.join(self.path, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "wb") as f:
            f.write(data)

    def add(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.write(self.blob(digest), data)
        return digest


def zstd(data, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=data,
                          stdout=subprocess.PIPE, check=True).stdout


def forge_object(data, defect):
    stored, n = struct.unpack_from("<QQ", data, 72)
    at = 88 + 44 * n
    index = Index(zstd(data[at:at + stored], "-d"))
    before = bytes(index.data)
    DEFECTS[defect](index)
    assert bytes(index.data) != before, "the defect changed nothing"
    frame = zstd(bytes(index.data), "--no-check",
                 "--stream-size=%d" % len(index.data))
    head = bytearray(data[:at])
    struct.pack_into("<Q", head, 72, len(frame))
    whole = bytes(head) + frame
    return whole + hashlib.sha256(whole).digest()


def forge(store, volume, defect):
    head = "volumes/%s/head.json" % volume
    record = store.read(head)
    version = re.search(rb'"head":"sha256:([0-9a-f]{64})"', record)[1]
    sequence = re.search(rb'"sequence":([0-9]+)', record)[1].decode()
    manifest = store.read(store.blob(version.decode()))
    objects = re.search(rb'"io.layerd.layer-objects":"([^"]*)"', manifest)[1]
    last = re.findall(rb"[0-9a-f]{64}", objects)[-1]
    forged = store.add(forge_object(store.read(store.blob(last.decode())),
                                    defect))
    manifest = manifest.replace(last, forged.encode())
    digest = store.add(manifest).encode()
    store.write("volumes/%s/%s" % (volume, sequence), b"sha256:" + digest)
    store.write(head, record.replace(version, digest))


def main():
    parser = argparse.ArgumentParser(description="Forges an index.")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("store", nargs="?")
    parser.add_argument("volume", nargs="?")
    parser.add_argument("defect", nargs="?", choices=sorted(DEFECTS))
    options = parser.parse_args()
    if options.list:
        print("\n".join(sorted(DEFECTS)))
    elif options.defect is None:
        parser.error("STORE VOLUME DEFECT")
    else:
        forge(Store(options.store), options.volume, options.defect)


main()
