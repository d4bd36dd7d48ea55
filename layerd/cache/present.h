/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file "present" of a cached layer: what of it is there, and whether that
 * survives a power cut. present.c has the byte table.
 */

#include "util/digest.h"
#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRESENT_SIZE 144u
#define PRESENT_BOOT_ID_SIZE 16u

enum present_state {
	/* Whole, but perhaps in memory only: believed in the same boot. */
	PRESENT_IN_BOOT = 1,
	/* Whole and on the disk. */
	PRESENT_SYNCED = 2,
};

struct present {
	enum present_state state;
	uint8_t boot_id[PRESENT_BOOT_ID_SIZE]; /* of the writer */
	struct digest tar;
	struct digest object;
	uint64_t tar_size;
	uint64_t index_size;
};

/* -ENOMEM. */
int present_encode(const struct present *p, uint8_t data[static PRESENT_SIZE]);

/* -EBADMSG with a sentence for anything that present_encode() did not make. */
int present_decode(const uint8_t *data, size_t size, struct present *ret,
		   struct err *err);

/* The id of this boot. */
int present_boot_id(uint8_t id[static PRESENT_BOOT_ID_SIZE]);

/* Whether it tells of a whole layer, in the boot with this id. */
bool present_believed(const struct present *p,
		      const uint8_t boot_id[static PRESENT_BOOT_ID_SIZE]);
