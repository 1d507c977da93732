# SPDX-License-Identifier: MIT
# Prints a result of tests/bench/run for people, and for its chart.

def left($n): . + (" " * ([$n - length, 0] | max) // "");
def right($n): tostring | (" " * ([$n - length, 0] | max) // "") + .;

# 12345 is 12,345.
def grouped: tostring | [while(length > 0; .[:-3]) | .[-3:]] | reverse | join(",");

# With so many digits behind the point, also where they are zeros.
def fixed($n): (. * pow(10; $n) | round | tostring | ("0" * ([$n + 1 - length, 0] | max) // "") + .) |
	.[:-$n] + "." + .[-$n:];

# Two lines of heading: what is done, and how.
def head1: . / "-" | .[0] + " " + .[1];
def head2: . / "-" | "depth " + .[2];

def width: 28;

def heading: "Linux \(.linux), fio \(.fio), ublk \(.ublk)";

def name_of: .name + (if .auto then " *" else "" end);

def exact_row($cells): . as $row | (name_of | left(width)) + ([$cells[] as $c |
	$row.cells[$c].instructions // null | if . then grouped else "-" end | right(12)] | join(""));

# Those of all cells that the rows have, in their order.
def cells_of($rows): ([$rows[].cells | keys[]] | unique) as $seen |
	[.cells[] | select(. as $cell | any($seen[]; . == $cell))];

def exact_table:
	cells_of(.exact.rows) as $cells | select((.exact.rows | length) > 0) |
	"Instructions per I/O, one processor (* is what auto takes)",
	("" | left(width)) + ($cells | map(head1 | right(12)) | join("")),
	("" | left(width)) + ($cells | map(head2 | right(12)) | join("")),
	(.exact.rows[] | exact_row($cells)),
	(.exact.spread | select(.) | "Two rounds of this run differ by \(.median_percent | fixed(2)) % " +
		"(median of \(.cells) cells), at most by \(.worst.percent | fixed(2)) % " +
		"(\(.worst.row), \(.worst.cell))"),
	"";

def ratios: if . == null then "-" else
	[.iops_ratio, .p50_ratio, .p99_ratio, .p999_ratio] |
	map(if . == null then "-" else fixed(2) end | right(8)) | join("") end | right(34);

def plain_row($cells): . as $row | (name_of | left(width)) +
	([$cells[] as $c | $row.cells[$c] | ratios] | join(""));

def plain_table($rows; $processors):
	cells_of($rows) as $cells | select(($rows | length) > 0) |
	"Rate, and latency at p50, p99 and p99.9, \($processors) processors",
	([$rows[].reference] | unique[]) as $reference |
	(["relative to \($reference)" | left(width)] + [$cells[] | head1 + " " + head2 | right(34)] | join("")),
	(["" | left(width)] + [$cells[] | "    rate     p50     p99   p99.9" | right(34)] | join("")),
	([$rows[] | select(.reference == $reference)][] | plain_row($cells)),
	"";

def bars:
	select((.bars | length) > 0) |
	"Bars, of instructions per I/O",
	("" | left(width)) + ("" | left(14)) + (["ours", "other", "ratio", "at most"] | map(right(10)) | join("")),
	(.bars[] | (.row | left(width)) + (.cell | left(14)) +
		([(.instructions, .of_instructions | grouped), (.ratio, .at_most | fixed(3))] |
			map(right(10)) | join("")) +
		"  \(if .met then "met" else "missed" end)\(if .aim then ", aim \(.aim | fixed(3))" else "" end)" +
		" (to \(.of))");

def missing: .missing[] | "Not here (\(.part)): \(.name): \(.why)";

def tables: heading, "", exact_table, plain_table(.plain.rows; "two"), plain_table(.wide.rows; "four"),
	bars, missing;

# Where instructions differ from an earlier result, by 1 % or more; and how many agree.
def compare:
	[.exact.rows[] | .name as $row | .cells | to_entries[] | .key as $cell |
		.value.instructions as $now |
		($before[0].exact.rows[] | select(.name == $row) | .cells[$cell].instructions) as $earlier |
		select($earlier) | {$row, $cell, $earlier, $now, percent: (($now / $earlier - 1) * 100)}] |
	(.[] | select((.percent | fabs) >= 1) | (.row | left(width)) + (.cell | left(14)) +
		(.earlier | grouped | right(10)) + (.now | grouped | right(10)) +
		"  \(if .percent > 0 then "+" else "-" end)\(.percent | fabs | fixed(1)) %"),
	"\(length) cells compared, \(map(select((.percent | fabs) >= 1)) | length) differ by 1 % or more, " +
		"the most by \(map(.percent | fabs) | max // 0 | fixed(2)) %";

# For gnuplot: a line for each row of the file group and for what auto takes, relative to the
# kernel's loop.
def chart_cells: ["read-4k-1", "read-4k-32", "write-4k-32", "read-128k-8"];
def chart:
	(.exact.rows[] | select(.name == "kernel loop") | .cells) as $loop |
	(["row"] + (chart_cells | map(head1 + ", " + head2)) | join("\t")),
	(.exact.rows[] | select(.group == "file" or (.auto and .group == "memory")) | . as $row |
		["\"" + name_of + "\""] + [chart_cells[] as $c |
			$row.cells[$c].instructions as $n | if $n then $n / $loop[$c].instructions else "?" end] |
		join("\t"));
def chart_title: "Instructions per I/O, relative to the kernel loop (Linux \(.linux / "-" | .[0]))";
