package pattern

import (
	"testing"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/traffic"
)

func TestOfLoadTellsStepsAndLoadsApart(t *testing.T) {
	flow := func(step, load int) evidence.Flow {
		return evidence.Flow{Result: traffic.Result{Probe: traffic.NewProbes(traffic.Request{}, "TC1"+loadLabel(step, load), 1)[0]}}
	}
	for _, test := range []struct {
		step, load int
		want       bool
	}{{1, 0, true}, {0, 1, false}, {1, 1, false}, {11, 0, false}, {1, 10, false}} {
		if got := OfLoad(1, 0)(flow(test.step, test.load)); got != test.want {
			t.Errorf("load %d of step %d is taken for load 0 of step 1: %t", test.load, test.step, got)
		}
	}
}

func TestADefaultMayNameParametersBeforeIt(t *testing.T) {
	p := Pattern{Name: "p", Parameters: []Parameter{{Name: "space", Default: "apps", Namespace: true}, {Name: "host", Default: "web.${space}.svc"}}}
	values, err := p.Values(nil, "two", nil)
	if err != nil || values["host"] != "web.apps-two.svc" {
		t.Errorf("%v, %v", values, err)
	}
	if values, err = p.Values(map[string]string{"host": "web.${space}"}, "", nil); err != nil || values["host"] != "web.${space}" {
		t.Errorf("what a user gives is taken as it is: %v, %v", values, err)
	}
}
