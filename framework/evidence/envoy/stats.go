package envoy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Stats are the counters and gauges of one proxy at one moment. Histograms are not
// kept. The zero value holds nothing, so that every lookup says absent.
type Stats struct {
	families map[string]*family
}

// Label is one name and value of a series.
type Label struct{ Name, Value string }

// family is one metric with all its series.
type family struct {
	counter bool // else a gauge
	series  []series
}

type series struct {
	labels []Label // sorted by name
	value  float64
	// merged is how many series with these labels the answer had: tag rules can
	// make different statistics look the same. Their sum is known, their parts are not.
	merged int
}

// ParseStats reads the answer to /stats/prometheus (the proxy agent's port serves the
// same text, merged with its own metrics). An answer without any metric is an error:
// a proxy always has some.
func ParseStats(r io.Reader) (Stats, error) {
	parsed, err := parseText(r)
	if err != nil {
		return Stats{}, fmt.Errorf("envoy: /stats/prometheus: %w", err)
	}
	if len(parsed) == 0 {
		return Stats{}, fmt.Errorf("envoy: /stats/prometheus: no metric in it")
	}
	stats := Stats{families: make(map[string]*family, len(parsed))}
	for name, f := range parsed {
		kind := f.GetType()
		if kind != dto.MetricType_COUNTER && kind != dto.MetricType_GAUGE && kind != dto.MetricType_UNTYPED {
			continue
		}
		kept := &family{counter: kind == dto.MetricType_COUNTER}
		seen := make(map[string]int, len(f.GetMetric()))
		for _, m := range f.GetMetric() {
			labels := labelsOf(m)
			key := labelKey(labels)
			i, ok := seen[key]
			if !ok {
				i = len(kept.series)
				seen[key] = i
				kept.series = append(kept.series, series{labels: labels})
			}
			kept.series[i].value += valueOf(m)
			kept.series[i].merged++
		}
		stats.families[name] = kept
	}
	return stats, nil
}

// parseText turns a panic into an error: expfmt has one for a line of labels that
// follows no metric name, and an answer that is cut off or not Envoy's may hold one.
func parseText(r io.Reader) (parsed map[string]*dto.MetricFamily, err error) {
	defer func() {
		if p := recover(); p != nil {
			parsed, err = nil, fmt.Errorf("not in the text format: %v", p)
		}
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(r)
}

// Names returns the names of all metrics, sorted.
func (s Stats) Names() []string {
	return slices.Sorted(maps.Keys(s.families))
}

// Lines returns every series that is not zero as "name{label="value"} 3", sorted: for people.
func (s Stats) Lines() []string {
	var lines []string
	for name, f := range s.families {
		for _, one := range f.series {
			if one.value == 0 {
				continue
			}
			var labels []string
			for _, l := range one.labels {
				labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
			}
			lines = append(lines, fmt.Sprintf("%s{%s} %g", name, strings.Join(labels, ","), one.value))
		}
	}
	slices.Sort(lines)
	return lines
}

// Sum adds the series of one metric that carry all the given labels, whatever other
// labels they have. False when there is no such series, which is not the same as a
// sum of zero.
func (s Stats) Sum(metric string, labels ...Label) (float64, bool) {
	f := s.families[metric]
	if f == nil {
		return 0, false
	}
	var sum float64
	found := false
	for _, one := range f.series {
		if one.hasAll(labels) {
			sum += one.value
			found = true
		}
	}
	return sum, found
}

func (s series) hasAll(labels []Label) bool {
	for _, want := range labels {
		if !slices.Contains(s.labels, want) {
			return false
		}
	}
	return true
}

func labelsOf(m *dto.Metric) []Label {
	out := make([]Label, 0, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		out = append(out, Label{l.GetName(), l.GetValue()})
	}
	slices.SortFunc(out, compareLabels)
	return out
}

// labelKey joins sorted labels with bytes that no UTF-8 text holds.
func labelKey(labels []Label) string {
	var key strings.Builder
	for _, l := range labels {
		key.WriteString(l.Name)
		key.WriteByte(0xfe)
		key.WriteString(l.Value)
		key.WriteByte(0xff)
	}
	return key.String()
}

func compareLabels(a, b Label) int {
	switch {
	case a.Name < b.Name, a.Name == b.Name && a.Value < b.Value:
		return -1
	case a == b:
		return 0
	}
	return 1
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	}
	return m.GetUntyped().GetValue()
}
