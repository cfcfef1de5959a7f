package run

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHolderDead(t *testing.T) {
	own := self("r1")
	otherMachine, otherStart, unknownStart := own, own, own
	otherMachine.Machine, otherMachine.PID = "0123456789ab", 1<<30
	otherStart.Started += "0"
	unknownStart.Started = ""
	for name, test := range map[string]struct {
		holder holder
		dead   bool
	}{
		"this process":                                {own, false},
		"an earlier process of the same number":       {otherStart, true},
		"a process that has ended":                    {ended(t, true), true},
		"a process that has ended, not collected yet": {ended(t, false), true},
		"a process of another machine":                {otherMachine, false},
		"a process whose start is unknown":            {unknownStart, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.holder.dead(); got != test.dead {
				t.Errorf("dead is %t, want %t", got, test.dead)
			}
		})
	}
}

func TestHeldByNobodyWhenTheProcessHasEnded(t *testing.T) {
	client, _ := clusterOf(t, lease("shop", identityOf(t, ended(t, true)), 0))
	if who, held, err := heldBy(t.Context(), client, "shop"); err != nil || held {
		t.Errorf("held %t by %+v, error %v", held, who, err)
	}
}

// ended is the holder that a process was which has ended, and which its parent has collected or not.
func ended(t *testing.T, collected bool) holder {
	t.Helper()
	command := exec.Command("cat")
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	h := holder{Run: "r0", Machine: machineID(), PID: command.Process.Pid, Started: processStart(command.Process.Pid)}
	if h.dead() {
		t.Fatalf("process %d counts as dead while it runs", h.PID)
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if collected {
		if err := command.Wait(); err != nil {
			t.Fatal(err)
		}
		return h
	}
	if err := unix.Waitid(unix.P_PID, h.PID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Wait() })
	return h
}

func TestProcessStart(t *testing.T) {
	own := processStart(os.Getpid())
	if ticks, err := strconv.ParseUint(own, 10, 64); err != nil || ticks == 0 {
		t.Errorf("this process started at %q", own)
	}
	if got := processStart(1 << 30); got != "" {
		t.Errorf("a process that is not there started at %q", got)
	}
}
