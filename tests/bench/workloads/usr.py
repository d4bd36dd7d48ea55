# SPDX-License-Identifier: Apache-2.0
"""One real large tree: a volume of it, against tar, a hash and zstd."""

from benchlib import peer
from benchlib.machine import sync, tree_size
from benchlib.measure import duration, rounds, size_ratio


def run(context):
    tree = context.size("/usr", "/usr/lib/python3")
    stored, packed = [], []

    def layerd(_):
        with context.daemon("layerd") as daemon:
            seconds, _ = daemon.timed("new", "real", "--from", tree)
            stored.append(daemon.ctl("status")["stored"])
            return seconds

    def tar(hash_name):
        def once(_):
            seconds, size = peer.tar_seconds(context, tree, hash_name)
            packed.append(size)
            return seconds
        return once

    sync()
    samples = rounds({"layerd": layerd, "sha256sum": tar("sha256sum"),
                      "openssl": tar("openssl")}, min(context.repeat, 3))
    what = f"new --from {tree} ({tree_size(tree) / 1e9:.1f} GB)"
    return [
        duration(what, samples["layerd"],
                 "tar, tee >(sha256sum), zstd -1 -T0, fsync",
                 samples["sha256sum"], 0.8, 1.0),
        duration(what, samples["layerd"], "the same with openssl's SHA-256",
                 samples["openssl"]),
        size_ratio(what + ": packs", stored[0], "zstd -1 of the tar",
                   packed[0]),
    ]
