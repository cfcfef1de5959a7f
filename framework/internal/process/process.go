// Package process tells one process from another that later has the same number.
package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// StartTicks is the start time of a process, in clock ticks since the machine started, which with the PID identifies it.
// A process that has ended but was not collected yet, and a system without /proc, are errors. Source: proc(5).
func StartTicks(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which may hold anything, a parenthesis too.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
