package node

import "testing"

func TestNewerThanAll(t *testing.T) {
	for name, row := range map[string]struct {
		one    string
		others []string
		want   bool
	}{
		"the only one":          {"1.27.9", nil, true},
		"an older one":          {"1.27.9", []string{"1.31.0"}, false},
		"a newer one":           {"1.31.0", []string{"1.27.9"}, true},
		"newer than one of two": {"1.29.0", []string{"1.27.9", "1.31.0"}, false},
		"by number, not letter": {"1.100.0", []string{"1.31.0"}, true},
		"its equal":             {"1.31.0", []string{"1.31.0"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := newerThanAll(row.one, row.others); err != nil || got != row.want {
				t.Errorf("%t, error %v; want %t", got, err, row.want)
			}
		})
	}
	_, err := newerThanAll("1.31.0", []string{"latest"})
	wantError(t, err, "versions of Istio", "latest")
}
