package run

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestExclusiveResourcesKeepPatternsApart(t *testing.T) {
	for name, test := range map[string]struct {
		running, wanted []string
		together        bool
	}{
		"neither needs anything for itself": {together: true},
		"different resources":               {running: []string{"disk"}, wanted: []string{"network"}, together: true},
		"only the one that runs":            {running: []string{"disk"}, together: true},
		"the same resource":                 {running: []string{"disk"}, wanted: []string{"network", "disk"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newResources()
				first := r.take(test.running)
				began := false
				go func() {
					r.take(test.wanted).give()
					began = true
				}()
				synctest.Wait()
				if began != test.together {
					t.Errorf("began beside the other: %t, want %t", began, test.together)
				}
				first.give()
				synctest.Wait()
				if !began {
					t.Error("it does not begin when the other has ended")
				}
			})
		})
	}
}

// TestAPatternIsAloneWhenAllOthersHaveBeenJudged: one that also waits is not in its way, or both would wait for ever.
func TestAPatternIsAloneWhenAllOthersHaveBeenJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResources()
		var told []string
		first, second := r.take(nil), r.take(nil)
		for name, u := range map[string]*use{"A": r.take(nil), "B": r.take(nil)} {
			go func() {
				if u.becomeAlone() {
					told = append(told, name)
					<-time.After(time.Second) // in which all others had their chance
					told = append(told, name+" judged")
					u.give()
				}
			}()
		}
		synctest.Wait()
		first.give()
		synctest.Wait()
		if len(told) != 0 {
			t.Errorf("%q while another still judged", told)
		}
		second.give()
		<-time.After(time.Minute)
		inTurn := [][]string{{"A", "A judged", "B", "B judged"}, {"B", "B judged", "A", "A judged"}}
		if !slices.Equal(told, inTurn[0]) && !slices.Equal(told, inTurn[1]) {
			t.Errorf("%q, want one after the other", told)
		}
	})
}

func TestNoPatternBeginsBesideOneThatIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResources()
		alone := r.take(nil)
		if !alone.becomeAlone() {
			t.Fatal("it is not alone where there is no other")
		}
		began := false
		go func() {
			r.take(nil).give()
			began = true
		}()
		synctest.Wait()
		if began {
			t.Error("another began")
		}
		alone.give()
		alone.give() // as a pattern that has been judged, and then ends
		synctest.Wait()
		if !began {
			t.Error("the other did not begin afterwards")
		}
	})
}

func TestAPatternThatEndsDoesNotWaitToBeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResources()
		r.take(nil)
		waiting := r.take(nil)
		alone := true
		go func() { alone = waiting.becomeAlone() }()
		synctest.Wait()
		waiting.give()
		synctest.Wait()
		if alone {
			t.Error("it is alone beside another, or still waits")
		}
	})
}
