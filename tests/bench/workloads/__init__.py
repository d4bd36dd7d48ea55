# SPDX-License-Identifier: Apache-2.0
"""Each module has run(context), which gives rows of the table."""

import importlib

# The order of the table.
NAMES = ("files", "write", "read", "million", "finalize", "commit", "prepend",
         "node_modules", "usr", "backup", "archive", "diff", "everyday")


def load(name):
    return importlib.import_module("workloads." + name)
