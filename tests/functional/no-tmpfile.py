#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program to which no file system has O_TMPFILE or RENAME_NOREPLACE:
no-tmpfile.py COMMAND...

A seccomp filter refuses them, as vfat, NFS and many FUSE servers do. SIGINT has
its effect, which it has not for what a shell runs in the background.
"""

import ctypes
import errno
import os
import platform
import signal
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, HAS, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7fff0000, 0x00050000
OPENAT, RENAMEAT2 = {"x86_64": (257, 316),
                     "aarch64": (56, 276)}[platform.machine()]
O_TMPFILE, RENAME_NOREPLACE = 0o20000000, 1

# Offsets in struct seccomp_data: the call's number, its third and fifth argument.
code = b"".join(struct.pack("HBBI", *i) for i in (
    (LOAD, 0, 0, 0),
    (EQUAL, 0, 3, OPENAT),
    (LOAD, 0, 0, 32),
    (HAS, 0, 5, O_TMPFILE),
    (RETURN, 0, 0, REFUSE | errno.EOPNOTSUPP),
    (EQUAL, 0, 3, RENAMEAT2),
    (LOAD, 0, 0, 48),
    (HAS, 0, 1, RENAME_NOREPLACE),
    (RETURN, 0, 0, REFUSE | errno.EINVAL),
    (RETURN, 0, 0, ALLOW),
))
buffer = ctypes.create_string_buffer(code, len(code))
program = ctypes.create_string_buffer(
    struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
    sys.exit("no filter: " + os.strerror(ctypes.get_errno()))
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    os.open(".", os.O_TMPFILE | os.O_WRONLY)
    sys.exit("the filter has no effect")
except OSError as e:
    assert e.errno == errno.EOPNOTSUPP, e
os.execvp(sys.argv[1], sys.argv[1:])
