/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a fuzz target defines: libFuzzer's entry point, which returns 0, and
 * whether the parser refused the input it saw last, which the replayer compares
 * with the input's name (see replay-main.c).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern bool fuzz_refused;
