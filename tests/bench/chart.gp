# SPDX-License-Identifier: MIT
# The chart of tests/bench/run: groups of bars, one for each device. gnuplot -e "data='...'; title='...'"
set terminal svg size 1000,480 font 'sans-serif,12' background 'white'
set title title noenhanced
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.9
set yrange [0:]
set ytics 0.25 nomirror
set grid ytics linecolor '#dddddd'
set xtics rotate by -30 noenhanced nomirror
set key outside bottom center horizontal noenhanced
set border 3
set datafile separator tab
plot 1 with lines linecolor '#444444' notitle, \
	for [i = 2:5] data using i:xtic(1) linecolor rgb word('#1b6ca8 #4fa3d1 #f29f05 #6a994e', i - 1) \
	title columnheader(i)
