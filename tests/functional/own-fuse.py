#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A FUSE mount that lets in only the user who owns it: own-fuse.py DIR UID.

Mounts a directory with an empty file in it, as fusermount3 does for a user
without allow_other, and serves until it is unmounted.
"""

import ctypes
import errno
import os
import stat
import struct
import sys

LOOKUP, FORGET, GETATTR, OPEN, INIT, OPENDIR = 1, 2, 3, 14, 26, 27
RELEASE, FLUSH, RELEASEDIR, INTERRUPT, BATCH_FORGET = 18, 25, 29, 36, 42
MS_NOSUID, MS_NODEV = 2, 4
ROOT, FILE = 1, 2

where, uid = sys.argv[1], int(sys.argv[2])


# The structures are those of linux/fuse.h.
def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
    return struct.pack("6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, uid,
                       uid, 0, 4096, 0)


def answer(code, node, data):
    """What a request is answered with: bytes or an errno."""
    if code == INIT:
        return struct.pack("4I2H2I2H2I24x", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0,
                           0, 0)
    if code == GETATTR:
        return struct.pack("Q2I", 0, 0, 0) + attributes(node)
    if code == LOOKUP:
        if data.rstrip(b"\0") != b"file":
            return errno.ENOENT
        return struct.pack("4Q2I", FILE, 0, 0, 0, 0, 0) + attributes(FILE)
    if code in (OPEN, OPENDIR):
        return struct.pack("Q2I", 0, 0, 0)
    return b"" if code in (RELEASE, RELEASEDIR, FLUSH) else errno.ENOSYS


fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
options = f"fd={fd},rootmode=40000,user_id={uid},group_id={uid}"
if ctypes.CDLL(None, use_errno=True).mount(
        b"own", where.encode(), b"fuse", MS_NOSUID | MS_NODEV,
        options.encode()):
    sys.exit("cannot mount: " + os.strerror(ctypes.get_errno()))
while True:
    try:
        request = os.read(fd, 1 << 17)
    except OSError as e:
        if e.errno == errno.ENODEV:
            sys.exit()
        if e.errno in (errno.EINTR, errno.ENOENT):
            continue
        raise
    _, code, unique, node = struct.unpack("2I2Q", request[:24])
    if code in (FORGET, INTERRUPT, BATCH_FORGET):
        continue
    data = answer(code, node, request[40:])
    error = -data if isinstance(data, int) else 0
    data = b"" if error else data
    os.write(fd, struct.pack("IiQ", 16 + len(data), error, unique) + data)
