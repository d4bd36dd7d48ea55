#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the bytes of all zstd frames in packs, skippable ones left out."""

import ctypes
import sys

ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
ZSTD.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def frames(data):
    total = at = 0
    while at < len(data):
        size = ZSTD.ZSTD_findFrameCompressedSize(data[at:], len(data) - at)
        if ZSTD.ZSTD_isError(ctypes.c_size_t(size)):
            sys.exit("no frame at %d" % at)
        if data[at + 1:at + 4] != b"\x2a\x4d\x18":
            total += size
        at += size
    return total


def main():
    total = 0
    for path in sys.argv[1:]:
        with open(path, "rb") as f:
            total += frames(f.read())
    print(total)


main()
