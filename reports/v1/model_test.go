package v1_test

import (
	"testing"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestSlug(t *testing.T) {
	for id, want := range map[string]string{"basic-gateway/page-is-complete": "page-is-complete", "bare": "bare", "": ""} {
		if got := (v1.Claim{ID: id}).Slug(); got != want {
			t.Errorf("slug of %q = %q, want %q", id, got, want)
		}
	}
}

func TestRunSeconds(t *testing.T) {
	for want, run := range map[float64]v1.Run{
		17: {StartedAt: example.At(0), FinishedAt: example.At(17), LastEventAt: example.At(18)},
		4:  {StartedAt: example.At(1), LastEventAt: example.At(5)},
		0:  {FinishedAt: example.At(17)},
	} {
		if got := run.Seconds(); got != want {
			t.Errorf("%+v lasted %v s, want %v", run, got, want)
		}
	}
	if got := (v1.Run{StartedAt: example.At(2), FinishedAt: example.At(1)}).Seconds(); got != 0 {
		t.Errorf("a clock that went backwards gives %v s", got)
	}
}
