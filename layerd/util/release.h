/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What this was built from, e.g. "0.1.0 (60b79a4b2c1d)": the release and the
 * commit, with "-dirty" where the tree had changes that were not committed;
 * what was not built in a git checkout says that instead of a commit.
 */
extern const char release_text[];
