# SPDX-License-Identifier: Apache-2.0
# Makes each line of a text a C string literal; together they are the text.
s/[\\"]/\\&/g
s/.*/"&\\n"/
