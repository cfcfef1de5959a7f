package junit

import (
	"encoding/xml"
	"fmt"
	"math"
)

// The elements of the dialect. Counts are attributes that add keeps equal to the elements below them.
type suites struct {
	XMLName   xml.Name `xml:"testsuites"`
	Name      string   `xml:"name,attr"`
	Tests     int      `xml:"tests,attr"`
	Failures  int      `xml:"failures,attr"`
	Errors    int      `xml:"errors,attr"`
	Skipped   int      `xml:"skipped,attr"`
	Time      string   `xml:"time,attr"`
	Timestamp string   `xml:"timestamp,attr,omitempty"`
	Suites    []suite  `xml:"testsuite"`
}

type suite struct {
	Name       string      `xml:"name,attr"`
	Tests      int         `xml:"tests,attr"`
	Failures   int         `xml:"failures,attr"`
	Errors     int         `xml:"errors,attr"`
	Skipped    int         `xml:"skipped,attr"`
	Time       string      `xml:"time,attr"`
	Timestamp  string      `xml:"timestamp,attr,omitempty"`
	Properties *properties `xml:"properties,omitempty"`
	Cases      []testcase  `xml:"testcase"`
}

type properties struct {
	Properties []property `xml:"property"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testcase struct {
	Class      string      `xml:"classname,attr"`
	Name       string      `xml:"name,attr"`
	Time       string      `xml:"time,attr"`
	File       string      `xml:"file,attr,omitempty"`
	Line       string      `xml:"line,attr,omitempty"`
	Properties *properties `xml:"properties,omitempty"`
	Skipped    *outcome    `xml:"skipped,omitempty"`
	Error      *outcome    `xml:"error,omitempty"`
	Failure    *outcome    `xml:"failure,omitempty"`
	Output     *output     `xml:"system-out,omitempty"`
}

type outcome struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Body    string `xml:",cdata"`
}

type output struct {
	Text string `xml:",cdata"`
}

// add appends a suite and counts its cases, for itself and for the whole.
func (all *suites) add(s suite) {
	s.Tests = len(s.Cases)
	for _, c := range s.Cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Skipped += s.Skipped
	all.Suites = append(all.Suites, s)
}

// seconds formats a time span. A negative one or one that is no number, which no clock measures, becomes 0: consumers
// refuse the whole file for it.
func seconds(s float64) string {
	if !(s > 0) || math.IsInf(s, 1) {
		s = 0
	}
	return fmt.Sprintf("%.3f", s)
}
