/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * String calls that cannot be used safely, made unusable. Included on the
 * compiler's command line, so no file can forget it; the headers that declare
 * the calls come first, their own declarations must not be rewritten.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi  \
	atol
