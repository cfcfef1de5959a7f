package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// What joining evidence may cost: 10,000 probes' from 1,000,000 lines.
const (
	joinSeconds   = 5.0
	joinMegabytes = 500.0
	// joinGrowth is how much longer four times as many lines may take, for it to be called linear on a machine that does
	// other things too.
	joinGrowth = 6.0
)

// scaled is a result of BenchmarkJoinAtScale: nanoseconds, lines, peak.
var scaled = regexp.MustCompile(`(?m)^BenchmarkJoinAtScale/\d+\S*\s+\d+\s+(\d+) ns/op\s+([\d.e+]+) lines\s+([\d.e+]+) peak-MB`)

// join measures the joining of evidence at three sizes, each in a process of its own, whose peak of memory is its own.
func (b *bench) join(runs int) error {
	seconds := map[string]float64{}
	for _, lines := range []string{"250000", "500000", "1000000"} {
		for range runs {
			cmd := exec.Command("go", "test", "-run", "^$", "-bench", "JoinAtScale/^"+lines+"$", "-benchtime", "1x", "./framework/evidence")
			cmd.Stderr = os.Stderr
			output, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("join %s lines: %w\n%s", lines, err, output)
			}
			match := scaled.FindSubmatch(output)
			if match == nil {
				return fmt.Errorf("join %s lines: no result in:\n%s", lines, output)
			}
			nanoseconds, err := strconv.ParseFloat(string(match[1]), 64)
			if err != nil {
				return err
			}
			megabytes, err := strconv.ParseFloat(string(match[3]), 64)
			if err != nil {
				return err
			}
			if took := nanoseconds / 1e9; seconds[lines] == 0 || took < seconds[lines] {
				seconds[lines] = took
			}
			b.table.add("join", lines+" lines, of one probe for each hundred", nanoseconds/1e9, "s")
			b.table.add("join", lines+" lines, peak of memory", megabytes, "MB")
			if megabytes > joinMegabytes {
				b.missed = append(b.missed, fmt.Sprintf("joining %s lines took %.0f MB, more than %.0f", lines, megabytes, joinMegabytes))
			}
		}
	}
	if seconds["1000000"] > joinSeconds {
		b.missed = append(b.missed, fmt.Sprintf("joining 1000000 lines took %.1f s at best, more than %.0f", seconds["1000000"], joinSeconds))
	}
	if growth := seconds["1000000"] / seconds["250000"]; growth > joinGrowth {
		b.missed = append(b.missed, fmt.Sprintf("joining four times as many lines took %.1f times as long", growth))
	}
	return nil
}
