package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestStartTicks(t *testing.T) {
	own, err := StartTicks(os.Getpid())
	if err != nil || own == 0 {
		t.Fatalf("own start %d, %v", own, err)
	}
	// A name that looks like the fields that follow it.
	program := filepath.Join(t.TempDir(), "a) S 1 (b")
	data, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(program, "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	later, err := StartTicks(child.Process.Pid)
	if err != nil || later < own {
		t.Errorf("a child started at %d, before its parent at %d: %v", later, own, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if _, err := StartTicks(child.Process.Pid); err == nil {
		t.Error("a process that has gone has a start")
	}
}
