package wait

import (
	"math"
	"testing"
	"time"
)

func TestScale(t *testing.T) {
	for _, test := range []struct {
		scale Scale
		want  time.Duration
	}{{0, 20 * time.Second}, {1, 20 * time.Second}, {2.5, 50 * time.Second}, {0.1, 2 * time.Second}, {1.0 / 3, 6666666667}} {
		if got := test.scale.Of(20 * time.Second); got != test.want {
			t.Errorf("%v: %s, want %s", test.scale, got, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for scale, allowed := range map[Scale]bool{
		0: true, 1: true, LeastScale: true, MostScale: true, 0.0999: false, 100.1: false, -1: false, Scale(math.Inf(1)): false, Scale(math.NaN()): false,
	} {
		if err := scale.Check(); (err == nil) != allowed {
			t.Errorf("%v: %v", scale, err)
		}
	}
	if err := Scale(500).Check(); err == nil || err.Error() != "500 is no factor from 0.1 to 100" {
		t.Errorf("error %v", err)
	}
}
