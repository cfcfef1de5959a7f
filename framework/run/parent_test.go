package run

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestAnInterruptReachesAChildThatIsStartedAfterIt: or the whole pattern would be run in spite of it.
func TestAnInterruptReachesAChildThatIsStartedAfterIt(t *testing.T) {
	r := &Runner{children: map[*exec.Cmd]bool{}}
	r.forward(syscall.SIGTERM, 1)
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.track(cmd, true)
	_ = cmd.Wait() // it is the signal that counts
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT {
		t.Errorf("it ended by itself, not by an interrupt: %v", cmd.ProcessState)
	}
}

// toldEvents notes the types of events, and the phases that they begin.
type toldEvents struct{ list []string }

func (e *toldEvents) Event(event v1.Event) {
	text := string(event.Type)
	if event.Phase != nil {
		text += " " + event.Phase.Name
	}
	e.list = append(e.list, text)
}

// TestClaimsAreJudgedWhenCleanUpBegins: from then on a pattern keeps nobody from the resources that it shares.
func TestClaimsAreJudgedWhenCleanUpBegins(t *testing.T) {
	var lines strings.Builder
	for _, event := range []v1.Event{
		{Type: v1.PhaseStarted, Phase: &v1.Phase{Name: "install"}},
		{Type: v1.PhaseFinished, Phase: &v1.Phase{Name: "install"}},
		{Type: v1.ClaimFinished, Claim: &v1.Claim{ID: "shop/is-open"}},
		{Type: v1.PhaseStarted, Phase: &v1.Phase{Name: v1.PhaseCleanUp}},
		{Type: v1.PhaseFinished, Phase: &v1.Phase{Name: v1.PhaseCleanUp}},
		{Type: v1.PatternFinished},
	} {
		if err := json.NewEncoder(&lines).Encode(event); err != nil {
			t.Fatal(err)
		}
	}
	told := &toldEvents{}
	r := &Runner{journal: v1.NewJournal(io.Discard, v1.JournalOptions{}), sink: told}
	finished := r.passOn("shop", strings.NewReader(lines.String()), turn{judged: func() { told.list = append(told.list, "judged") }}, io.Discard)
	want := []string{
		"phase-started install", "phase-finished install", "claim-finished", "phase-started clean-up", "judged", "phase-finished clean-up", "pattern-finished",
	}
	if !finished || !slices.Equal(told.list, want) {
		t.Errorf("finished %t, %q; want %q", finished, told.list, want)
	}
}
