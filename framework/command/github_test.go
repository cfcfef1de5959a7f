package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/reports/github"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func redReport() v1.Report {
	return v1.Report{Run: v1.Run{Complete: true}, Patterns: []v1.Pattern{{Name: "shop", Claims: []v1.Claim{
		{ID: "shop/is-open", Alias: "SH1", Text: "it answers", Verdict: v1.Failed, Summary: "it is closed", Probes: 20},
	}}}}
}

func TestTellGitHubAppendsToWhatIsThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "summary.md")
	if err := os.WriteFile(file, []byte("of another command\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := tellGitHub(&out, redReport(), "results/latest", file); err != nil {
		t.Fatal(err)
	}
	if want := "::error title=SH1 is-open failed::it is closed%0Aclaim: it answers\n"; out.String() != want {
		t.Errorf("annotations %q, want %q", out.String(), want)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "of another command\n## meshproof: proven 0 of 1 · 1 failed") {
		t.Errorf("summary %q, error %v", text, err)
	}
}

// TestTellGitHubKeepsWithinTheStepsLimit: of a longer file GitHub shows nothing, also of what another command wrote.
func TestTellGitHubKeepsWithinTheStepsLimit(t *testing.T) {
	for _, free := range []int{600, 100, 0, -1} {
		file := filepath.Join(t.TempDir(), "summary.md")
		before := github.MaxSummary - free
		if err := os.WriteFile(file, make([]byte, before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := tellGitHub(&strings.Builder{}, redReport(), "results/latest", file); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Size() > int64(max(before, github.MaxSummary)) {
			t.Errorf("%d bytes were free, and there are %d (error %v)", free, info.Size(), err)
		}
		if grown := info.Size() > int64(before); grown != (free >= 600) {
			t.Errorf("%d bytes were free: grown %t", free, grown)
		}
	}
}

func TestTellGitHubWithoutAPlaceForTheSummary(t *testing.T) {
	var out strings.Builder
	if err := tellGitHub(&out, redReport(), "results/latest", ""); err != nil || out.Len() == 0 {
		t.Errorf("annotations %q, error %v", out.String(), err)
	}
	err := tellGitHub(&out, redReport(), "results/latest", filepath.Join(t.TempDir(), "nowhere", "summary.md"))
	if err == nil || !strings.HasPrefix(err.Error(), "write the job summary: open ") {
		t.Errorf("error %v", err)
	}
}
