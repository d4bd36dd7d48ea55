/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/errors.h"

#include "util/cleanup.h"

#include <errno.h>

/* The first row of a name or code is the one that stands for it. */
static const struct {
	const char *name;
	int code;
} errors[] = {
	{"io.layerd.InvalidArgument", EINVAL},
	{"io.layerd.NotFound", ENOENT},
	{"io.layerd.AlreadyExists", EEXIST},
	{"io.layerd.Busy", EBUSY},
	{"io.layerd.PermissionDenied", EPERM},
	{"io.layerd.PermissionDenied", EACCES},
	{"io.layerd.NoSpace", ENOSPC},
	{"io.layerd.NoSpace", EDQUOT},
	{"io.layerd.ReadOnly", EROFS},
	{"io.layerd.Corrupt", EBADMSG},
	{"io.layerd.Changed", ESTALE},
	{"io.layerd.NotSettled", EAGAIN},
	{"io.layerd.NotSupported", EOPNOTSUPP},
	{"io.layerd.NotSupported", ENOSYS},
	{"io.layerd.Failed", EIO},
	/* Of org.varlink.service, which every service may answer with. */
	{"org.varlink.service.InvalidParameter", EINVAL},
	{"org.varlink.service.MethodNotFound", EOPNOTSUPP},
	{"org.varlink.service.MethodNotImplemented", EOPNOTSUPP},
	{"org.varlink.service.InterfaceNotFound", EOPNOTSUPP},
};

const char *error_name(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].code == -code)
			return errors[i].name;
	return "io.layerd.Failed";
}

int error_code(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (strcmp(errors[i].name, name) == 0)
			return -errors[i].code;
	return -EIO;
}
