package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/meshproof/meshproof/hack/internal/drive"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// fault is one way to disturb a run.
type fault struct {
	name, phase string
	// moment is the part of the phase after which it strikes, from 0 to 1.
	moment float64
	strike func(f *faults, r *drive.Run) error
	// exits are the exit codes that the run may end with.
	exits []int
	// reasons are texts of which the reason for every claim without a verdict of the mesh must hold one.
	reasons []string
	// clean says that the run itself must have removed everything.
	clean bool
	// recoverByRun has the next run remove what is left, instead of meshproof clean.
	recoverByRun bool
}

// durations are the stages that tell how long a phase is.
var durations = map[string]string{"lock": "lock", "install": "install", "settle": "settle", "probe": "judge", v1.PhaseCleanUp: v1.PhaseCleanUp}

// phases are those in which a run can be disturbed, in their order.
var phases = []string{"lock", "install", "settle", "probe", v1.PhaseCleanUp}

// latest is the last moment that is chosen, as a part of the usual length of a phase: the phase may be shorter this time.
const latest = 0.7

// plan lists the faults with their moments.
func (f *faults) plan() []fault {
	var plan []fault
	for index, phase := range phases {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			plan = append(plan, fault{
				name: signalName(signal), phase: phase, strike: send(signal), clean: true,
				exits: []int{v1.ExitInterrupted}, reasons: []string{"interrupt", "terminated"},
			})
		}
		plan = append(plan, fault{
			name: "SIGKILL", phase: phase, strike: send(syscall.SIGKILL), recoverByRun: index%2 == 0,
			exits: []int{-1}, reasons: []string{"killed"},
		})
	}
	for _, phase := range []string{"install", "probe"} {
		plan = append(plan, fault{
			name: "SIGKILL to the pattern", phase: phase, strike: (*faults).killChild, clean: true,
			exits: []int{v1.ExitInconclusive}, reasons: []string{"the process of pattern"},
		})
	}
	for _, phase := range []string{"install", "settle", "probe", "probe", v1.PhaseCleanUp} {
		plan = append(plan, fault{
			name: "API server stopped", phase: phase, strike: (*faults).stopAPIServer,
			exits: []int{v1.ExitPassed, v1.ExitInconclusive, v1.ExitEnvironment}, reasons: []string{"API server"},
		})
	}
	for range 3 {
		plan = append(plan, fault{
			name: "gateway pod deleted", phase: "probe", strike: (*faults).deleteGateway, clean: true,
			exits: []int{v1.ExitPassed, v1.ExitInconclusive}, reasons: []string{"pod"},
		})
	}
	for index := range plan {
		plan[index].moment = latest * f.random.Float64()
	}
	return plan
}

func signalName(signal syscall.Signal) string {
	return map[syscall.Signal]string{syscall.SIGINT: "SIGINT", syscall.SIGTERM: "SIGTERM"}[signal]
}

func send(signal os.Signal) func(*faults, *drive.Run) error {
	return func(_ *faults, r *drive.Run) error { return r.Signal(signal) }
}

// judge lists what is wrong about a run's end.
func (o fault) judge(outcome drive.Outcome, left []string) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !slices.Contains(o.exits, outcome.Exit) {
		say("exit %d, not %v", outcome.Exit, o.exits)
	}
	if o.clean && len(left) > 0 {
		say("left at once: %s", strings.Join(left, ", "))
	}
	if outcome.Problem != nil {
		say("the journal cannot be read: %v", outcome.Problem)
		return wrong
	}
	if !outcome.Report.Run.Complete && outcome.Exit >= 0 {
		say("the journal has no end")
	}
	for _, p := range outcome.Report.Patterns {
		for _, claim := range p.Claims {
			reason := because(claim)
			switch {
			case claim.Verdict == v1.Passed || claim.Verdict == v1.Skipped:
			case claim.Verdict == v1.Failed:
				say("%s blames the mesh: %s", claim.Alias, reason)
			case !slices.ContainsFunc(o.reasons, func(text string) bool { return strings.Contains(strings.ToLower(reason), strings.ToLower(text)) }):
				say("%s does not tell the cause: %s", claim.Alias, reason)
			}
		}
	}
	return wrong
}

func because(claim v1.Claim) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(claim.Reason+": "+claim.Summary), " "), ":")
}

// told is the reason for the first claim without a verdict of the mesh.
func told(report v1.Report) string {
	for _, p := range report.Patterns {
		for _, claim := range p.Claims {
			if claim.Verdict != v1.Passed && claim.Verdict != v1.Skipped {
				return claim.Alias + ": " + because(claim)
			}
		}
	}
	return ""
}

// begins recognises the event with which a phase begins.
func begins(phase string) func(v1.Event) bool {
	return func(e v1.Event) bool {
		if phase == "probe" {
			return e.Type == v1.ClaimStarted
		}
		return e.Type == v1.PhaseStarted && e.Phase != nil && e.Phase.Name == phase
	}
}

// where is what the run was doing after these events.
func where(events []v1.Event) string {
	now := "start"
	for _, e := range events {
		switch e.Type {
		case v1.PhaseStarted:
			now = e.Phase.Name
		case v1.PhaseFinished:
			now = "after " + e.Phase.Name
		case v1.ClaimStarted:
			now = "probe " + e.Claim.Alias
		case v1.ClaimFinished:
			now = "after " + e.Claim.Alias
		case v1.RunFinished:
			now = "end"
		}
	}
	return now
}
