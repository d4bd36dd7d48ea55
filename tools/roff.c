/* SPDX-License-Identifier: Apache-2.0 */
#include "roff.h"

#include "util/cleanup.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Reads one character of UTF-8, whose bytes follow its first. */
static size_t decode(const char *s, size_t size, uint32_t *ret)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t code = c < 0x80 ? c : c & (0x7fu >> n);

	if (n > size)
		n = size;
	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	*ret = code;
	return n;
}

/* Characters that troff turns into others, or that steer it. */
static const char *escape(char c)
{
	switch (c) {
	case '\\':
		return "\\e";
	case '-':
		return "\\-";
	case '\'':
		return "\\(aq";
	case '`':
		return "\\(ga";
	case '^':
		return "\\(ha";
	case '~':
		return "\\(ti";
	case '"':
		return "\\(dq";
	default:
		return NULL;
	}
}

void roff_text(FILE *f, const char *s, size_t size, bool start)
{
	if (start && size && (*s == '.' || *s == '\''))
		fputs("\\&", f);
	while (size) {
		const char *instead = escape(*s);
		uint32_t code;
		size_t n = decode(s, size, &code);

		if (instead)
			fputs(instead, f);
		else if (code >= 0x80)
			fprintf(f, "\\[u%04X]", code);
		else if (code >= ' ' || code == '\t')
			fputc((int)code, f);
		s += n;
		size -= n;
	}
}

void roff_string(FILE *f, const char *s)
{
	roff_text(f, s, strlen(s), false);
}

/* The state of roff_prose(). */
struct prose {
	FILE *f;
	bool literal; /* between .nf and .fi */
	bool bold;    /* behind a '`' */
	bool parted;  /* an empty line came before */
	bool begun;
};

static void end_literal(struct prose *p)
{
	if (p->literal)
		fputs(".fi\n.RE\n", p->f);
	p->literal = false;
}

static void literal_line(struct prose *p, const char *s, size_t n)
{
	if (!p->literal)
		fputs(p->begun ? ".PP\n.RS 4\n.nf\n" : ".RS 4\n.nf\n", p->f);
	else if (p->parted)
		fputs("\\&\n", p->f);
	p->literal = true;
	roff_text(p->f, s, n, true);
	fputc('\n', p->f);
}

/* One whose backquote is never closed is only a character. */
static bool closes(const char *s, const char *end)
{
	return memchr(s, '`', (size_t)(end - s)) != NULL;
}

static void prose_line(struct prose *p, const char *s, size_t n,
		       const char *paragraph_end)
{
	const char *end = s + n;
	bool start = true;

	if ((p->literal || p->parted) && p->begun) {
		end_literal(p);
		fputs(".PP\n", p->f);
	}
	for (; s < end; s++) {
		const char *quote = memchr(s, '`', (size_t)(end - s));
		const char *stop = quote ? quote : end;

		roff_text(p->f, s, (size_t)(stop - s), start);
		start = false;
		s = stop;
		if (!quote)
			break;
		if (p->bold || closes(quote + 1, paragraph_end)) {
			fputs(p->bold ? "\\fR" : "\\fB", p->f);
			p->bold = !p->bold;
		} else {
			roff_text(p->f, quote, 1, false);
		}
	}
	fputc('\n', p->f);
}

void roff_prose(FILE *f, const char *text)
{
	struct prose p = {.f = f};

	while (*text) {
		size_t n = strcspn(text, "\n");
		size_t indent = strspn(text, " \t");

		if (indent >= n) {
			p.parted = true;
		} else {
			const char *end = strstr(text, "\n\n");

			if (indent >= 2)
				literal_line(&p, text + 2, n - 2);
			else
				prose_line(&p, text + indent, n - indent,
					   end ? end : text + strlen(text));
			p.parted = false;
			p.begun = true;
		}
		text += n + (text[n] == '\n');
	}
	end_literal(&p);
}

/* The state of roff_help(). */
struct help {
	FILE *f;
	size_t column; /* lines that begin here go on with a list's item */
	bool headed;   /* under a heading of the text's own, or OPTIONS */
	bool begun;    /* something stands in this section */
	bool parted;   /* an empty line came before */
};

static void help_heading(struct help *h, const char *s, size_t n)
{
	fputs(".SH ", h->f);
	for (size_t i = 0; i < n; i++)
		fputc(toupper((unsigned char)s[i]), h->f);
	fputc('\n', h->f);
	h->column = 0;
	h->begun = false;
	h->headed = true;
}

/* Where the term of "  term  description" ends; n if it stands alone. */
static size_t term_end(const char *s, size_t n, size_t indent)
{
	for (size_t i = indent; i + 1 < n; i++)
		if (s[i] == ' ' && s[i + 1] == ' ')
			return i;
	return n;
}

static void help_item(struct help *h, const char *s, size_t n, size_t indent)
{
	size_t end = term_end(s, n, indent);
	size_t at = end + strspn(s + end, " ");

	fputs(".TP\n\\fB", h->f);
	roff_text(h->f, s + indent, end - indent, false);
	fputs("\\fR\n", h->f);
	if (end < n) {
		roff_text(h->f, s + at, n - at, true);
		fputc('\n', h->f);
	}
	h->column = end < n ? at : indent + 1;
}

static void help_line(struct help *h, const char *s, size_t n)
{
	size_t indent = strspn(s, " ");
	bool option = indent && s[indent] == '-';

	if (!indent && s[n - 1] == ':') {
		help_heading(h, s, n - 1);
		return;
	}
	if (option && !h->headed)
		help_heading(h, "options", strlen("options"));
	if (indent && !(h->column && indent >= h->column) &&
	    (option || term_end(s, n, indent) < n)) {
		help_item(h, s, n, indent);
	} else {
		bool goes_on = h->column && indent >= h->column;

		if (h->begun && !goes_on && (h->parted || h->column))
			fputs(".PP\n", h->f);
		if (!goes_on)
			h->column = 0;
		roff_text(h->f, s + indent, n - indent, true);
		fputc('\n', h->f);
	}
	h->begun = true;
}

void roff_help(FILE *f, const char *text)
{
	struct help h = {.f = f};

	fputs(".SH SYNOPSIS\n", f);
	while (strncasecmp(text, "usage: ", 7) == 0) {
		size_t n = strcspn(text, "\n");

		roff_text(f, text + 7, n - 7, true);
		fputc('\n', f);
		text += n;
		text += strspn(text, "\n");
	}
	fputs(".SH DESCRIPTION\n", f);
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n)
			help_line(&h, text, n);
		h.parted = n == 0;
		text += n + (text[n] == '\n');
	}
}
