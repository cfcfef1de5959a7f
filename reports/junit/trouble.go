package junit

import (
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// troubles are the test cases of what went wrong in a pattern outside any claim: an error that no claim carries
// already, and objects that were left behind.
func troubles(p v1.Pattern) []testcase {
	var cases []testcase
	class := "meshproof." + text(p.Name)
	if p.Error != "" && !carried(p.Claims, p.Error) {
		cases = append(cases, testcase{Class: class, Name: text(failedPhase(p)), Time: seconds(0),
			Error: &outcome{Type: "environment", Message: message(p.Error), Body: text("\n" + p.Error + "\n")}})
	}
	if len(p.Leftovers) > 0 {
		left := strings.Join(p.Leftovers, "\n")
		cases = append(cases, testcase{Class: class, Name: "nothing is left behind", Time: seconds(0),
			Error: &outcome{Type: "leftovers", Message: message("left behind: " + strings.Join(p.Leftovers, ", ")), Body: text("\n" + left + "\n")}})
	}
	return cases
}

// failedPhase names the step that a pattern's error belongs to, as well as the report tells.
func failedPhase(p v1.Pattern) string {
	for _, phase := range p.Phases {
		if phase.Error != "" {
			return phase.Name
		}
	}
	for _, phase := range p.Phases {
		if phase.Unfinished {
			return phase.Name
		}
	}
	return "pattern"
}

// carried is true when a red claim shows the error already.
func carried(claims []v1.Claim, problem string) bool {
	for _, c := range claims {
		if c.Verdict != v1.Passed && c.Verdict != v1.Skipped && strings.Contains(c.Reason, problem) {
			return true
		}
	}
	return false
}

// runTrouble returns the test case of the run itself, when it has an error that no claim carries, or when it is red and
// nothing in it is: a consumer that sees no red element calls it a success.
func runTrouble(report v1.Report, all suites) (testcase, bool) {
	problem := report.Run.Error
	if problem != "" {
		for _, p := range report.Patterns {
			if carried(p.Claims, problem) {
				return testcase{}, false
			}
		}
	} else {
		if all.Failures+all.Errors > 0 || v1.ExitCode(report, nil) == v1.ExitPassed {
			return testcase{}, false
		}
		problem = whyRed(report)
	}
	return testcase{Class: "meshproof", Name: "run", Time: seconds(0),
		Error: &outcome{Type: "environment", Message: message(problem), Body: text("\n" + problem + "\n")}}, true
}

func whyRed(report v1.Report) string {
	switch {
	case report.Run.Interrupted != "":
		return "the run was interrupted (" + report.Run.Interrupted + ")"
	case !report.Run.Complete:
		return "the run ended (killed) before it was complete"
	case v1.Summary(report).Selected == 0:
		return "no claim was selected, so nothing was proven"
	}
	return "every claim was skipped, so nothing was proven"
}
