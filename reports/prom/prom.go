// Package prom renders a report as metrics in the text format of Prometheus: for the textfile collector of node_exporter,
// for a Pushgateway, or for promtool.
package prom

import (
	"fmt"
	"io"

	"github.com/prometheus/common/expfmt"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Write renders report to w. The same report gives the same bytes.
//
// Every metric is a gauge, because it says what one run came to, and begins with meshproof_. A metric has the same labels in
// every run, and what changes with each run, such as its ID, is a label of meshproof_run_info alone: a claim or a phase is one
// series over many runs. What is not known has no sample, never a zero. Times are in seconds.
func Write(w io.Writer, report v1.Report) error {
	for _, f := range families(report) {
		if len(f.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(w, f.MetricFamily); err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
	}
	return nil
}
