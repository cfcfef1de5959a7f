package prom

import (
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// family is a metric with its samples, all of which have labels of the same names in the same order.
type family struct {
	*dto.MetricFamily
	labels []string
}

func gauge(name, help string, labels ...string) *family {
	return &family{MetricFamily: &dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum()}, labels: labels}
}

// add appends a sample; values are those of the labels, in their order. A number that no clock and no count gives is left out,
// as a measurement that is not known is.
func (f *family) add(number float64, values ...string) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return
	}
	metric := &dto.Metric{Gauge: &dto.Gauge{Value: &number}}
	for i, name := range f.labels {
		value := strings.ToValidUTF8(values[i], "\uFFFD")
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
	f.Metric = append(f.Metric, metric)
}

// indicator is a condition as a number.
func indicator(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
