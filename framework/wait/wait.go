// Package wait names how long a run waits for what, so that one factor scales all of it, and a table tells it.
package wait

import (
	"fmt"
	"math"
	"time"
)

// Limit is a named wait: how long something may take that a healthy cluster does sooner. What is measured or judged is none,
// and neither is the period between two looks.
type Limit struct {
	// Name is a word or two, as the table of waits and errors have it.
	Name string
	// Usual is how long it is, unless it is scaled: far above what was measured.
	Usual time.Duration
	// For says what is waited for.
	For string
}

// Scale is the factor of all waits; zero means 1.
type Scale float64

// The least and the most that a Scale may be: below the one nothing would be ready in time, and above the other a run whose
// cluster is broken would not end on the same day.
const (
	LeastScale Scale = 0.1
	MostScale  Scale = 100
)

// Check returns an error that says what a scale may be.
func (s Scale) Check() error {
	if s == 0 || s >= LeastScale && s <= MostScale {
		return nil
	}
	return fmt.Errorf("%v is no factor from %v to %v", float64(s), float64(LeastScale), float64(MostScale))
}

// Of is a wait, scaled.
func (s Scale) Of(usual time.Duration) time.Duration {
	if s == 0 {
		return usual
	}
	return time.Duration(math.Round(float64(usual) * float64(s)))
}
