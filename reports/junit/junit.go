// Package junit renders a report as JUnit XML, in the dialect that Jenkins, GitLab and GitHub's actions share.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Write renders report to w: a test suite per pattern and a test case per claim, whose names stay the same from run to
// run. The same report gives the same bytes.
//
// A failed claim is a <failure> whose type is its cause; one that could not be judged is an <error type="inconclusive">,
// so that no consumer takes it for green; a skipped one is <skipped>. What went wrong outside any claim is a test case of
// its own with an <error>: a report whose exit code is not 0 always has a red element, except for a skipped claim that was
// required, which the report does not know of.
func Write(w io.Writer, report v1.Report) error {
	document, err := xml.MarshalIndent(suitesOf(report), "", "  ")
	if err != nil {
		return fmt.Errorf("rendering JUnit XML: %w", err)
	}
	document = append([]byte(xml.Header), append(document, '\n')...)
	if _, err := w.Write(document); err != nil {
		return fmt.Errorf("writing JUnit XML: %w", err)
	}
	return nil
}

func suitesOf(report v1.Report) suites {
	all := suites{Name: "meshproof", Time: seconds(report.Run.Seconds()), Timestamp: timestamp(report.Run.StartedAt)}
	properties := propertiesOf(report)
	for _, p := range report.Patterns {
		s := suite{
			Name: "meshproof." + text(p.Name), Timestamp: timestamp(p.StartedAt), Time: seconds(duration(p)),
			Properties: properties,
		}
		for _, c := range p.Claims {
			s.Cases = append(s.Cases, claimCase(p, c))
		}
		s.Cases = append(s.Cases, troubles(p)...)
		all.add(s)
	}
	if c, ok := runTrouble(report, all); ok {
		all.add(suite{Name: "meshproof", Timestamp: all.Timestamp, Time: seconds(0), Properties: properties, Cases: []testcase{c}})
	}
	return all
}

// duration is the wall-clock time of a pattern; one that never finished lasted as long as its phases and claims did.
func duration(p v1.Pattern) float64 {
	if !p.StartedAt.IsZero() && p.FinishedAt.After(p.StartedAt) {
		return p.FinishedAt.Sub(p.StartedAt).Seconds()
	}
	var sum float64
	for _, phase := range p.Phases {
		sum += phase.Seconds
	}
	for _, c := range p.Claims {
		sum += c.Seconds
	}
	return sum
}

// propertiesOf says which cluster and run the results are of; what is not known is left out.
func propertiesOf(report v1.Report) *properties {
	run, cluster := report.Run, report.Cluster
	var known properties
	for _, p := range []property{
		{"run.id", run.ID},
		{"run.version", run.Version},
		{"cluster.provider", cluster.Provider},
		{"cluster.name", cluster.Name},
		{"cluster.context", cluster.Context},
		{"cluster.apiServer", cluster.APIServer},
		{"cluster.uid", cluster.UID},
		{"cluster.kubernetes", cluster.Kubernetes},
		{"mesh.flavour", cluster.Mesh.Flavour},
		{"mesh.version", cluster.Mesh.Version},
		{"mesh.revision", cluster.Mesh.Revision},
		{"mesh.proxy", cluster.Mesh.Proxy},
	} {
		if p.Value != "" {
			p.Value = text(p.Value)
			known.Properties = append(known.Properties, p)
		}
	}
	if known.Properties == nil {
		return nil
	}
	return &known
}

// timestamp is in UTC and without a zone, as the dialect's schema wants it; empty for a time that is not known.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}
