/* SPDX-License-Identifier: Apache-2.0 */
/* Remove: how versions go. */
#include "server/methods.h"

#include "format/reference.h"
#include "volume/remove.h"

int method_remove(struct call *c)
{
	struct reference parsed;
	const char *reference;
	bool force = false;
	uint64_t versions;
	int r = call_need_string(c, "reference", &reference);

	if (r == 0)
		r = call_get_bool(c, "force", &force);
	if (r == 0)
		r = reference_parse(reference, &parsed, &c->err);
	if (r == 0)
		r = volume_remove(c->host, &parsed, force, c->pid, &versions,
				  &c->err);
	if (r < 0)
		return r;
	c->reply = json_pack("{s:s, s:I}", "reference", reference, "versions",
			     (json_int_t)versions);
	return c->reply ? 0 : err_oom(&c->err);
}
