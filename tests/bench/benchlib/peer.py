# SPDX-License-Identifier: Apache-2.0
"""The tar pipeline that a seal is measured against."""

import os
import shutil

from benchlib.machine import timed

# tar, a hash of it, zstd on all cores, and the result durable. A FIFO instead
# of >(...), which bash would not wait for.
SCRIPT = """
set -euo pipefail
mkfifo "$2.fifo"
{hash} <"$2.fifo" >"$2.sum" &
tar c -C "$1" . | tee "$2.fifo" | zstd -1 -T0 -q -o "$2"
wait
sync "$2" "$(dirname "$2")"
"""

HASHES = {"sha256sum": "sha256sum", "openssl": "openssl dgst -sha256"}


def tar_seconds(context, tree, hash_name):
    """(seconds, size of the result)."""
    directory = context.make("peer")
    out = os.path.join(directory, "tree.tar.zst")
    seconds, _ = timed(["bash", "-c",
                        SCRIPT.format(hash=HASHES[hash_name]), "peer", tree,
                        out])
    size = os.path.getsize(out)
    shutil.rmtree(directory)
    return seconds, size
