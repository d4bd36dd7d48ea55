# SPDX-License-Identifier: Apache-2.0
"""finalize of a large mixed tree, against tar, a hash and zstd.

Each repetition has a store of its own, as a store that has the chunks already
would win without work. Both read the same upper directory, which is in the page
cache as far as it fits there.
"""

import os
import shutil

from benchlib import peer
from benchlib.machine import random_file, run as command, sync, tree_size
from benchlib.measure import duration, rounds


def make_tree(context, mount, source):
    command("cp", "-a", source, os.path.join(mount, "lib"))
    random_file(os.path.join(mount, "random"),
                context.size(512 << 20, 64 << 20))


def run(context):
    source = context.size("/usr/lib", "/usr/lib/python3")
    repeat = min(context.repeat, 3)
    master = context.make("master")
    make_tree(context, master, source)
    size = tree_size(master)

    def layerd(_):
        with context.daemon("layerd") as daemon:
            daemon.ctl("new", "mixed")
            mount = daemon.mount("mixed", context.path("mount"))
            command("cp", "-a", os.path.join(master, "."), mount)
            sync()
            return daemon.timed("finalize", "mixed")[0]

    def tar(hash_name):
        def once(_):
            upper = context.path("upper")
            command("cp", "-a", master, upper)
            sync()
            seconds = peer.tar_seconds(context, upper, hash_name)[0]
            shutil.rmtree(upper)
            return seconds
        return once

    samples = rounds({"layerd": layerd, "sha256sum": tar("sha256sum"),
                      "openssl": tar("openssl")}, repeat)
    what = f"finalize {source} and random bytes, {size / 1e9:.1f} GB"
    return [
        duration(what, samples["layerd"],
                 "tar, tee >(sha256sum), zstd -1 -T0, fsync",
                 samples["sha256sum"], 0.8, 1.0),
        duration(what, samples["layerd"], "the same with openssl's SHA-256",
                 samples["openssl"]),
    ]
