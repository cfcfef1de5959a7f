package run

import (
	"slices"
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/wait"
)

func TestWaitsHaveThoseOfThePatternsOnceEach(t *testing.T) {
	own, shared := wait.Limit{Name: "own", Usual: time.Second, For: "x"}, wait.Limit{Name: "shared", Usual: time.Second, For: "x"}
	none := Waits(nil)
	got := Waits([]pattern.Pattern{{Waits: []wait.Limit{own, shared}}, {Waits: []wait.Limit{shared}}})
	if want := append(slices.Clone(none), own, shared); !slices.Equal(got, want) {
		t.Errorf("waits %v\nwant %v", got, want)
	}
	names := map[string]bool{}
	for _, limit := range none {
		if limit.Name == "" || limit.For == "" || limit.Usual <= 0 || names[limit.Name] {
			t.Errorf("%+v has no name of its own, no time or no text", limit)
		}
		names[limit.Name] = true
	}
}

func TestAScaleIsOfAllTimeouts(t *testing.T) {
	plan, err := NewPlan([]pattern.Pattern{example("shop", "SH")}, someCluster(), Options{TimeoutScale: 2})
	if err != nil {
		t.Fatal(err)
	}
	usual := mesh.DefaultTimeouts
	want := mesh.Timeouts{Ready: 2 * usual.Ready, Settle: 2 * usual.Settle, Address: 2 * usual.Address, Gone: 2 * usual.Gone, Lease: 2 * usual.Lease}
	if plan.Jobs[0].Options.Timeouts != want || plan.Options.Timeouts != want {
		t.Errorf("timeouts %v, want %v", plan.Jobs[0].Options.Timeouts, want)
	}
	if got := CleanTimeout(Options{TimeoutScale: 0.5}); got != usual.Gone/2 {
		t.Errorf("clean waits %s", got)
	}
	c := &child{job: plan.Jobs[0]}
	if got := c.cleanUpLimit(); got != 2*(usual.Gone+cleanUpTimeout) {
		t.Errorf("a clean-up may take %s", got)
	}
	if got := (&Session{plan: plan}).effectLimit(); got != 2*effectTimeout {
		t.Errorf("an effect may take %s", got)
	}
}
