# SPDX-License-Identifier: MIT
# Makes one result of the lines that tests/bench/guest.sh prints.

# Instructions a guest second, in exact mode.
def speed: 500e6;

def median: sort | if length == 0 then null else (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;

def rounded($digits): pow(10; $digits) as $p | if . == null then null else (. * $p | round) / $p end;

# Of all rounds of one cell of one row, and of each.
def exact_cell:
	{ instructions: (speed * (map(.ms) | add) / 1000 / (map(.ios) | add) | round),
	  rounds: map(speed * .ms / 1000 / .ios | round) };

# What a row is relative to.
def reference: if .group == "file" then "kernel loop" else "null_blk" end;

# Each round relative to the same round of the reference; of those the median.
def plain_cell($of):
	def ratio(f): . as $all | [$all[] | . as $one | $of[] | select(.round == $one.round) | . as $ref |
		select(($ref | f) > 0) | ($one | f) / ($ref | f)] | median | rounded(3);
	{ iops: (map(.iops) | median | round), iops_ratio: ratio(.iops),
	  p50_ratio: ratio(.us.p50), p99_ratio: ratio(.us.p99), p999_ratio: ratio(.us.p999) };

def cells_of($lines; $part; $row): [$lines[] | select(.kind == "cell" and .part == $part and .row == $row)];

def by_cell(f): group_by(.cell) | map({key: .[0].cell, value: f}) | from_entries;

def exact($lines):
	[$lines[] | select(.kind == "row" and .part == "exact") |
		{name, group, auto, cells: (cells_of($lines; "exact"; .name) | by_cell(exact_cell))}];

def plain($lines; $part):
	[$lines[] | select(.kind == "row" and .part == $part) | . as $row |
		cells_of($lines; $part; reference) as $reference |
		{name, group, auto, reference: reference,
		 cells: (cells_of($lines; $part; .name) |
			by_cell(.[0].cell as $cell | plain_cell([$reference[] | select(.cell == $cell)])))}];

# How much the rounds of a cell differ, in percent of their mean.
def spread:
	[.[] | .name as $row | .cells | to_entries[] | select(.value.rounds | length > 1) | {$row, cell: .key, percent:
		((.value.rounds | (max - min) / (add / length) * 100) | rounded(2))}] |
	if length == 0 then null
	else {cells: length, median_percent: (map(.percent) | median | rounded(2)), worst: max_by(.percent)} end;

# The bars: what is measured, in relation to what, and the most that it may be.
def bar_table: [
	["loop", "read-4k-32",  "kernel loop", 1,             15500 / 16600],
	["loop", "write-4k-32", "kernel loop", 1,             null],
	["loop", "read-4k-1",   "kernel loop", 31000 / 28500, 1],
	["loop", "read-128k-8", "kernel loop", 1,             null],
	["loop", "sync-4k-1",   "kernel loop", 1.1,           1.05],
	["loop", "trim-4k-1",   "kernel loop", 1.1,           1.05],
	["null", "read-4k-32",  "kernel loop", 14000 / 16600, null],
	["null", "read-4k-1",   "kernel loop", 23000 / 28500, null],
	["mem",  "read-4k-32",  "null",        1.4,           null]];

# A device's row: that of the target on the path that auto takes, or of that name.
def row_for($what):
	first(.[] | select(.name == $what or (.auto and (.name | startswith($what + " "))))) // null;

def bars:
	. as $rows | [bar_table[] as [$target, $cell, $of, $most, $aim] |
		($rows | row_for($target)) as $ours | ($rows | row_for($of)) as $other |
		$ours.cells[$cell].instructions as $a | $other.cells[$cell].instructions as $b |
		select($a != null and $b != null) |
		{row: $ours.name, cell: $cell, instructions: $a, of: $other.name, of_instructions: $b,
		 ratio: ($a / $b | rounded(3)), at_most: ($most | rounded(3)), aim: ($aim | rounded(3)),
		 met: ($a / $b <= $most)}];

def result($set):
	. as $lines | first(.[] | select(.kind == "machine")) as $machine | exact($lines) as $exact |
	{ schema: "ublk.bench/1", linux: $machine.linux, fio: $machine.fio,
	  ublk: ($machine.ublk | ltrimstr("ublk ")), set: $set,
	  cells: ([.[] | select(.kind == "cell") | .cell] |
		reduce .[] as $c ([]; if index([$c]) then . else . + [$c] end)),
	  exact: {rows: $exact, spread: ($exact | spread)}, plain: {rows: plain($lines; "plain")},
	  wide: {rows: plain($lines; "wide")},
	  missing: [.[] | select(.kind == "missing") | {part, name, why}],
	  bars: ($exact | bars) };
