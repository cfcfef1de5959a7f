// Command testsum runs `go test` and ends with one line that counts the tests: "N passed, N failed, N skipped".
//
// Usage: testsum [flags of go test] -- PACKAGE...
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	separator := slices.Index(os.Args, "--")
	if separator < 0 {
		fmt.Fprintln(os.Stderr, "usage: testsum [flags of go test] -- PACKAGE...")
		os.Exit(2)
	}
	arguments := slices.Concat([]string{"test", "-json"}, os.Args[1:separator], os.Args[separator+1:])
	if err := run(arguments); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	cmd := exec.Command("go", arguments...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c := counter{output: map[string][]string{}}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // what the Go tool says outside the stream
			continue
		}
		c.take(e)
	}
	err = cmd.Wait()
	for _, name := range c.failures {
		fmt.Println("failed:", name)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped)
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	if c.passed == 0 {
		return fmt.Errorf("no test ran")
	}
	return nil
}

type counter struct {
	passed, failed, skipped int
	// failures are the names of the tests that failed.
	failures []string
	output   map[string][]string
}

// take counts tests and shows what failed, or was skipped, as it happens; a package that fails outside its tests counts as one.
func (c *counter) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		c.output[key] = append(c.output[key], e.Output)
	case "pass":
		if e.Test == "" {
			fmt.Printf("ok    %-70s %6.1f s\n", e.Package, e.Elapsed)
		} else {
			c.passed++
		}
		delete(c.output, key)
	case "skip":
		if e.Test != "" {
			c.skipped++
			fmt.Printf("skip  %s %s\n%s", e.Package, e.Test, strings.Join(c.output[key], ""))
		}
		delete(c.output, key)
	case "fail":
		if e.Test != "" || c.failed == 0 {
			c.failed++
			c.failures = append(c.failures, key)
		}
		fmt.Printf("FAIL  %s %s %.1f s\n%s", e.Package, e.Test, e.Elapsed, strings.Join(c.output[key], ""))
		delete(c.output, key)
	case "build-fail":
		fmt.Printf("FAIL  build\n%s", strings.Join(c.output[key], ""))
	}
}
