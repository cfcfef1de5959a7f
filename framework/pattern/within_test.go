package pattern

import (
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/wait"
)

func TestWithinIsOfDeclaredWaits(t *testing.T) {
	declared := wait.Limit{Name: "rotation", Usual: 10 * time.Second, For: "a Secret"}
	env := &Env{Pattern: Pattern{Name: "shop", Waits: []wait.Limit{declared}}}
	for scale, want := range map[wait.Scale]time.Duration{0: 10 * time.Second, 3: 30 * time.Second} {
		env.TimeoutScale = scale
		if got := env.Within(declared); got != want {
			t.Errorf("scale %v: %s, want %s", scale, got, want)
		}
	}
	defer func() {
		if got := recover(); got != `pattern shop declares no wait "other"` {
			t.Errorf("a wait that is not declared: %v", got)
		}
	}()
	env.Within(wait.Limit{Name: "other", Usual: time.Second})
}
