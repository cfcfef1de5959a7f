package envoy

import "strings"

// Scope is the part of the statistics of one cluster, listener or HTTP connection manager. Names are Envoy's own,
// without the scope: "upstream_cx_total", "downstream_cx_total".
type Scope struct {
	stats  Stats
	prefix string // "envoy_cluster_"
	// places are where the scope's series may be, in order of preference.
	places []place
}

// place is a metric prefix and the labels that make a series belong to the scope.
type place struct {
	prefix string
	any    []Label // one of these; none: the series has no scope label
}

// Cluster returns one cluster's statistics, by the cluster's name or its stat name.
//
// Where they are depends on the proxy's tag rules: Istio's put the whole name into the
// label cluster_name; Envoy's own put the part before the first dot into
// envoy_cluster_name and leave the rest in the metric's name, with every character
// that Prometheus does not allow turned into an underscore. Both are found.
func (s Stats) Cluster(name string) Scope {
	const prefix = "envoy_cluster_"
	name = strings.TrimSuffix(name, ";")
	scope := Scope{stats: s, prefix: prefix}
	scope.places = append(scope.places, place{prefix, bothLabels("cluster_name", name, name+";")})
	// Istio ends stat names with ";", so that dots in a name cannot be mistaken.
	for _, full := range []string{name, name + ";"} {
		for i := range len(full) {
			if full[i] == '.' {
				scope.places = append(scope.places,
					place{prefix + sanitize(full[i+1:]) + "_", bothLabels("cluster_name", full[:i])})
			}
		}
		scope.places = append(scope.places, place{prefix + sanitize(full) + "_", nil})
	}
	return scope
}

// Listener returns one listener's statistics, by its address as "0.0.0.0:15006" or
// "[::]:15006", or by its stat_prefix where the listener has one.
func (s Stats) Listener(address string) Scope {
	const prefix = "envoy_listener_"
	return Scope{stats: s, prefix: prefix, places: []place{
		{prefix, bothLabels("listener_address", strings.ReplaceAll(address, ":", "_"), address)},
	}}
}

// HTTP returns the statistics of the HTTP connection managers with one stat_prefix, for
// example "inbound_0.0.0.0_9080".
func (s Stats) HTTP(statPrefix string) Scope {
	const prefix = "envoy_http_"
	name := strings.TrimSuffix(statPrefix, ";")
	return Scope{stats: s, prefix: prefix, places: []place{{prefix, bothLabels("http_conn_manager_prefix", name, name+";")}}}
}

// Mongo returns a statistic of the filters for MongoDB, all together: Istio's tag rules take the name of the filter's
// listener away, and put the beginning of the statistic's own name into the label instead. False as for Scope.Counter.
func (s Stats) Mongo(name string) (float64, bool) {
	for _, prefix := range []string{"envoy_mongo__", "envoy_mongo_"} {
		if value, found := s.Sum(prefix + sanitize(name)); found {
			return value, true
		}
	}
	return 0, false
}

// Counter returns a counter of the scope. False when the proxy publishes none of this
// name, whether it has not counted yet or its statistics filter hides it; that is not
// zero.
func (sc Scope) Counter(name string) (float64, bool) {
	return sc.lookup(name, true)
}

// Gauge returns a gauge of the scope; false as for Counter.
func (sc Scope) Gauge(name string) (float64, bool) {
	return sc.lookup(name, false)
}

func (sc Scope) lookup(name string, counter bool) (float64, bool) {
	for _, spelling := range spellings(name) {
		for _, p := range sc.places {
			f := sc.stats.families[p.prefix+spelling.name]
			if f == nil || f.counter != counter {
				continue
			}
			if value, n := p.only(f, spelling.extra); n == 1 {
				return value, true
			} else if n > 1 {
				return 0, false // names that differ only in replaced characters
			}
		}
	}
	return 0, false
}

// only returns the value of the scope's series in a family and how many there are.
func (p place) only(f *family, extra []Label) (value float64, n int) {
	for _, s := range f.series {
		if p.holds(s, extra) {
			value = s.value
			n += s.merged
		}
	}
	return value, n
}

// holds says whether a series is the scope's and has no further label than one of
// extra, where there is any: a series split by worker or route is another statistic.
func (p place) holds(s series, extra []Label) bool {
	want := 0
	if len(p.any) > 0 {
		want++
		if !hasOne(s, p.any) {
			return false
		}
	}
	if len(extra) > 0 {
		want++
		if !hasOne(s, extra) {
			return false
		}
	}
	return len(s.labels) == want
}

func hasOne(s series, labels []Label) bool {
	for _, l := range labels {
		if s.hasAll([]Label{l}) {
			return true
		}
	}
	return false
}

// spelling is a metric name after the scope's prefix, and the label that tag rules took
// out of it.
type spelling struct {
	name  string
	extra []Label
}

// spellings of a statistic: as it is, and for response codes also as tag rules leave it,
// "upstream_rq_503" as upstream_rq{response_code="503"}.
func spellings(name string) []spelling {
	clean := sanitize(name)
	out := []spelling{{name: clean}}
	base, code := clean, ""
	if i := strings.LastIndex(clean, "_rq_"); i >= 0 {
		base, code = clean[:i+len("_rq")], clean[i+len("_rq_"):]
	}
	switch {
	case len(code) == 3 && digits(code):
		out = append(out, spelling{base, bothLabels("response_code", code)})
	case len(code) == 3 && digits(code[:1]) && code[1:] == "xx":
		out = append(out,
			spelling{base, bothLabels("response_code_class", code)},
			spelling{base + "_xx", bothLabels("response_code_class", code[:1])})
	}
	return out
}

// bothLabels names a label as Istio's tag rules do and as Envoy's own do.
func bothLabels(name string, values ...string) []Label {
	var out []Label
	for _, v := range values {
		out = append(out, Label{name, v}, Label{"envoy_" + name, v})
	}
	return out
}

// sanitize replaces what a Prometheus name may not hold, as Envoy does.
func sanitize(name string) string {
	clean := []byte(name)
	for i, c := range clean {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == ':':
		default:
			clean[i] = '_'
		}
	}
	return string(clean)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
