/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"

#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

void listing_release(struct listing *l)
{
	for (size_t i = 0; i < l->n_rows * l->n_columns; i++)
		free(l->cells[i]);
	free(l->cells);
	l->cells = NULL;
	l->n_rows = 0;
}

int listing_add(struct listing *l, const char *const *cells)
{
	size_t used = l->n_rows * l->n_columns;
	char **all;

	all = reallocarray(l->cells, used + l->n_columns, sizeof(*all));
	if (!all)
		return -ENOMEM;
	l->cells = all;
	memset(all + used, 0, l->n_columns * sizeof(*all));
	l->n_rows++;
	for (size_t i = 0; i < l->n_columns; i++) {
		all[used + i] = strdup(cells[i] ? cells[i] : "-");
		if (!all[used + i])
			return -ENOMEM;
	}
	return 0;
}

static const char *cell(const struct listing *l, size_t row, size_t column)
{
	return l->cells[row * l->n_columns + column];
}

static size_t column_width(const struct listing *l, size_t column)
{
	size_t width = strlen(l->columns[column].title);

	for (size_t row = 0; row < l->n_rows; row++) {
		const char *s = cell(l, row, column);

		width = MAX(width, output_width(s, strlen(s)));
	}
	return width;
}

static void print_cell(const struct listing *l, size_t column, const char *s,
		       size_t width, enum output_style style)
{
	int padding = (int)(width - output_width(s, strlen(s)));
	bool last = column + 1 == l->n_columns;

	if (l->columns[column].right)
		printf("%*s", padding, "");
	if (style != OUTPUT_PLAIN)
		output_style(style);
	(void)output_text(stdout, s, strlen(s));
	if (style != OUTPUT_PLAIN)
		output_style(OUTPUT_PLAIN);
	if (!l->columns[column].right && !last)
		printf("%*s", padding, "");
	fputs(last ? "\n" : "  ", stdout);
}

void listing_print(const struct listing *l)
{
	size_t widths[LISTING_COLUMNS_MAX];

	if (l->n_rows == 0)
		return;
	for (size_t i = 0; i < l->n_columns; i++)
		widths[i] = column_width(l, i);
	for (size_t i = 0; i < l->n_columns; i++)
		print_cell(l, i, l->columns[i].title, widths[i], OUTPUT_BOLD);
	for (size_t row = 0; row < l->n_rows; row++)
		for (size_t i = 0; i < l->n_columns; i++)
			print_cell(l, i, cell(l, row, i), widths[i],
				   l->columns[i].style);
}
