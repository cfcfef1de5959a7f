package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/hack/internal/drive"
	v1 "github.com/meshproof/meshproof/reports/v1"
	"github.com/meshproof/meshproof/suites"
)

// stopSeconds is how long the API server is stopped.
const stopSeconds = 10

// stopAPIServer stops the lab's API server, and returns when it goes on. A process of its own lets it go on, whatever
// becomes of this one.
func (f *faults) stopAPIServer(*drive.Run) error {
	l, err := lab.Open(lab.Options{Name: f.lab.Name})
	if err != nil {
		return err
	}
	status, err := l.Status(context.Background())
	if err != nil {
		return err
	}
	for _, part := range status.Parts {
		if part.Name != "kube-apiserver" {
			continue
		}
		pid, err := onHost(l.PID, part.PID)
		if err != nil {
			return err
		}
		stopper := exec.Command("sh", "-c", fmt.Sprintf("kill -STOP %[1]d; sleep %[2]d; kill -CONT %[1]d", pid, stopSeconds))
		stopper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C does not reach it
		return stopper.Run()
	}
	return fmt.Errorf("lab %s has no kube-apiserver", f.lab.Name)
}

// onHost is the host's number of a process that has the number inside in the lab whose first process is first.
func onHost(first, inside int) (int, error) {
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", first))
	if err != nil {
		return 0, err
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, process := range processes {
		if other, err := os.Readlink(process + "/ns/pid"); err != nil || other != space {
			continue
		}
		status, err := os.ReadFile(process + "/status")
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(status)) {
			// The last number is that in its own namespace.
			if numbers := strings.Fields(line); len(numbers) > 1 && numbers[0] == "NSpid:" && numbers[len(numbers)-1] == strconv.Itoa(inside) {
				return strconv.Atoi(filepath.Base(process))
			}
		}
	}
	return 0, fmt.Errorf("no process of the lab has the number %d", inside)
}

// deleteGateway deletes the pods of the pattern's first gateway.
func (f *faults) deleteGateway(r *drive.Run) error {
	patterns, err := run.Select(suites.All(), []string{f.pattern})
	if err != nil {
		return err
	}
	hops := patterns[0].Hops
	index := slices.IndexFunc(hops, func(hop pattern.Hop) bool { return hop.Kind == pattern.Gateway })
	if index < 0 {
		return fmt.Errorf("pattern %s has no gateway", f.pattern)
	}
	namespace := ""
	for _, e := range r.Events() {
		if e.Type == v1.PatternSeeded {
			namespace = e.Pattern.Parameters[hops[index].Namespace]
		}
	}
	_, err = f.lab.Kubectl("delete", "pod", "-n", namespace, "-l", hops[index].Selector, "--wait=false")
	return err
}

// orphanTimeout is how long the process of a pattern may outlive its run.
const orphanTimeout = 5 * time.Second

// orphan is a process of a pattern whose run has ended; 0 when there is none.
func orphan() (int, error) {
	deadline := time.Now().Add(orphanTimeout)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		found, err := child()
		if err != nil || found == 0 || time.Now().After(deadline) {
			return found, err
		}
		<-ticker.C
	}
}

// child is the process in which the run judges its pattern; 0 when there is none.
func child() (int, error) {
	program, err := filepath.Abs(drive.Program)
	if err != nil {
		return 0, err
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, process := range processes {
		words, _ := os.ReadFile(process + "/cmdline") // it may have ended
		if exe, err := os.Readlink(process + "/exe"); err == nil && exe == program && strings.Contains(string(words), "\x00"+run.ChildArgument) {
			return strconv.Atoi(filepath.Base(process))
		}
	}
	return 0, nil
}

// killChild kills the process in which the run judges its pattern.
func (f *faults) killChild(*drive.Run) error {
	pid, err := child()
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("the run has no process of its pattern")
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}
