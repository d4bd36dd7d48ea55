/* SPDX-License-Identifier: Apache-2.0 */
#include "exit.h"

#include "proto/errors.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

#define UNREACHABLE "io.layerd.Unreachable"
#define DAMAGED "io.layerd.DamageRemains"

static const struct {
	int status;
	const char *name;
	const char *meaning;
} rows[] = {
	{0, NULL, "done"},
	{1, "io.layerd.Failed", "failed"},
	{2, "io.layerd.InvalidArgument", "wrong usage or an invalid argument"},
	{3, "io.layerd.NotFound", "no such volume, version, layer or path"},
	{4, "io.layerd.AlreadyExists", "exists already"},
	{5, "io.layerd.Busy", "in use"},
	{6, "io.layerd.PermissionDenied", "not permitted"},
	{7, "io.layerd.NoSpace", "no space left"},
	{8, "io.layerd.ReadOnly", "read-only"},
	{9, "io.layerd.Corrupt", "corrupt data"},
	{10, "io.layerd.Changed", "changed by somebody else meanwhile"},
	{10, "io.layerd.NotSettled", "files did not hold still; try again"},
	{11, "io.layerd.NotSupported", "not supported on this host"},
	{12, UNREACHABLE, "the daemon cannot be reached"},
	{13, DAMAGED, "fsck found damage that remains"},
	{130, NULL, "interrupted (Ctrl-C)"},
};

const char *exit_error_name(int code)
{
	if (code == -ECONNREFUSED || code == -ECONNRESET)
		return UNREACHABLE;
	if (code == -EUCLEAN)
		return DAMAGED;
	return error_name(code);
}

int exit_status(int code)
{
	const char *name = exit_error_name(code);

	if (code == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].name && strcmp(rows[i].name, name) == 0)
			return rows[i].status;
	return 1;
}

const char *exit_meaning(size_t i, int *ret_status)
{
	if (i >= ARRAY_SIZE(rows))
		return NULL;
	*ret_status = rows[i].status;
	return rows[i].meaning;
}

void exit_describe(FILE *f)
{
	int before = -1;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].status == before)
			fprintf(f, "       %s\n", rows[i].meaning);
		else
			fprintf(f, "  %3d  %s\n", rows[i].status,
				rows[i].meaning);
		before = rows[i].status;
	}
}
