package compare

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// result is the folder of a run of pattern "shop" with these claims, which start at a time of their own.
func result(t *testing.T, change func(*v1.Report), claims ...v1.Claim) string {
	t.Helper()
	return resultIn(t, t.TempDir(), "20261123-020000-aaaa", change, claims...)
}

func resultIn(t *testing.T, folder, id string, change func(*v1.Report), claims ...v1.Claim) string {
	t.Helper()
	started := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	report := v1.Report{
		SchemaVersion: v1.SchemaVersion,
		Run:           v1.Run{ID: id, Complete: true, StartedAt: started, FinishedAt: started.Add(time.Minute)},
		Cluster:       v1.Cluster{Provider: "lab", Name: "default", UID: "5c1e", Kubernetes: "v1.36.3", Mesh: v1.Mesh{Flavour: "istio", Version: "1.31.0", Revision: "default"}},
		Patterns:      []v1.Pattern{{Name: "shop", Claims: claims, Parameters: map[string]string{"shop_namespace": "shop"}}},
	}
	if change != nil {
		change(&report)
	}
	if err := v1.Write(folder, report); err != nil {
		t.Fatal(err)
	}
	return folder
}

// claim is of pattern "shop"; what follows the verdict is its cause.
func claim(verdict v1.Verdict, cause ...string) v1.Claim {
	return v1.Claim{ID: "shop/is-open", Alias: "SH1", Verdict: verdict, Cause: strings.Join(cause, " ")}
}

// latency is the claim with a median, known to so much more or less, in milliseconds.
func latency(c v1.Claim, median, more float64) v1.Claim {
	c.MedianLatency = &v1.MedianLatency{Probes: 20, Seconds: median / 1000, Low: (median - more) / 1000, High: (median + more) / 1000}
	return c
}

func trueAfter(c v1.Claim, seconds float64) v1.Claim {
	c.TrueAfterSeconds = &seconds
	return c
}

func compared(t *testing.T, a, b string) Comparison {
	t.Helper()
	in, err := Load(a)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Load(b)
	if err != nil {
		t.Fatal(err)
	}
	comparison, err := Compare(in, out)
	if err != nil {
		t.Fatal(err)
	}
	return comparison
}

func TestClasses(t *testing.T) {
	passed, failed, inconclusive, skipped := claim(v1.Passed), claim(v1.Failed, "wrong-status"), claim(v1.Inconclusive, "evidence-missing"), claim(v1.Skipped)
	none := []v1.Claim{}
	one := func(c v1.Claim) []v1.Claim { return []v1.Claim{c} }
	for name, test := range map[string]struct {
		a, b []v1.Claim
		want Class
		// back is the class of A compared with B.
		back Class
	}{
		"passed twice":                      {one(passed), one(passed), Unchanged, Unchanged},
		"failed now":                        {one(passed), one(failed), Broken, Fixed},
		"not known now":                     {one(passed), one(inconclusive), Broken, Fixed},
		"failed twice":                      {one(failed), one(failed), Unchanged, Unchanged},
		"failed, of which little was known": {one(inconclusive), one(failed), Unchanged, Unchanged},
		"not run before":                    {none, one(passed), New, Gone},
		"skipped before":                    {one(skipped), one(failed), New, Gone},
		"skipped twice":                     {one(skipped), one(skipped), Unchanged, Unchanged},
		"never run":                         {none, one(skipped), Unchanged, Unchanged},
		"six times the median, and sure":    {one(latency(passed, 10, 1)), one(latency(passed, 60, 1)), Slower, Faster},
		"six times the median, and not":     {one(latency(passed, 10, 30)), one(latency(passed, 60, 30)), Unchanged, Unchanged},
		"less than five times the median":   {one(latency(passed, 10, 0.1)), one(latency(passed, 49, 0.1)), Unchanged, Unchanged},
		"a few milliseconds":                {one(latency(passed, 0.1, 0.01)), one(latency(passed, 4, 0.01)), Unchanged, Unchanged},
		"no median on one side":             {one(passed), one(latency(passed, 90, 1)), Unchanged, Unchanged},
		"slow to become true":               {one(trueAfter(passed, 0)), one(trueAfter(passed, 2.5)), Slower, Faster},
		"somewhat slower to become true":    {one(trueAfter(passed, 0)), one(trueAfter(passed, 0.9)), Unchanged, Unchanged},
		"slower, but not proven":            {one(latency(failed, 10, 1)), one(latency(failed, 90, 1)), Unchanged, Unchanged},
		"slower, and broken":                {one(latency(passed, 10, 1)), one(latency(failed, 90, 1)), Broken, Fixed},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := result(t, nil, test.a...), result(t, nil, test.b...)
			for want, sides := range map[string][2]string{"there " + string(test.want): {a, b}, "back " + string(test.back): {b, a}} {
				comparison := compared(t, sides[0], sides[1])
				got := comparison.Patterns[0].Claims
				if len(got) != 1 || !strings.HasSuffix(want, " "+string(got[0].Class)) || comparison.Counts[got[0].Class] != 1 || len(comparison.Counts) != 1 {
					t.Errorf("%s: got %+v, counts %v", want, got, comparison.Counts)
				}
			}
		})
	}
}

// several is a folder with a run for each claim.
func several(t *testing.T, claims ...v1.Claim) string {
	t.Helper()
	folder := t.TempDir()
	for index, c := range claims {
		id := fmt.Sprintf("20261123-0200%02d-aaaa", index)
		resultIn(t, makeFolder(t, folder, id), id, nil, c)
	}
	return folder
}

func TestSeveralRunsTellTheNoise(t *testing.T) {
	passed := claim(v1.Passed)
	medians := func(milliseconds ...float64) []v1.Claim {
		var claims []v1.Claim
		for _, median := range milliseconds {
			claims = append(claims, latency(passed, median, 0.1))
		}
		return claims
	}
	for name, test := range map[string]struct {
		a, b []v1.Claim
		want Class
	}{
		"beyond what it does from run to run": {medians(30, 31, 32), medians(40, 41, 42), Slower},
		"the same, the other way round":       {medians(40, 41, 42), medians(30, 31, 32), Faster},
		"within what it does from run to run": {medians(20, 31, 42), medians(43, 44, 45), Unchanged},
		"one run of B is as fast":             {medians(30, 31, 32), medians(31, 60, 61), Unchanged},
		"two runs tell no noise":              {medians(30, 32), medians(40, 42), Unchanged},
		"broken in one run of several":        {[]v1.Claim{passed, passed, passed}, []v1.Claim{passed, claim(v1.Failed), passed}, Broken},
		"fixed in all":                        {[]v1.Claim{passed, claim(v1.Failed)}, []v1.Claim{passed, passed}, Fixed},
		"fixed in one of two":                 {[]v1.Claim{claim(v1.Failed)}, []v1.Claim{passed, claim(v1.Failed)}, Unchanged},
		"skipped in one run":                  {[]v1.Claim{passed, claim(v1.Skipped)}, []v1.Claim{passed}, Unchanged},
	} {
		t.Run(name, func(t *testing.T) {
			comparison := compared(t, several(t, test.a...), several(t, test.b...))
			if got := comparison.Patterns[0].Claims[0]; got.Class != test.want || len(comparison.A.Runs) != len(test.a) {
				t.Errorf("want %s, got %+v of %v", test.want, got, comparison.A.Runs)
			}
		})
	}
}

func TestWhatCannotBeCompared(t *testing.T) {
	passed := claim(v1.Passed)
	good := result(t, nil, passed)
	twoMeshes := t.TempDir()
	resultIn(t, makeFolder(t, twoMeshes, "1"), "1", nil, passed)
	resultIn(t, makeFolder(t, twoMeshes, "2"), "2", func(r *v1.Report) { r.Cluster.Mesh.Version = "1.27.9" }, passed)
	twoVariants := t.TempDir()
	resultIn(t, makeFolder(t, twoVariants, "1"), "1", nil, passed)
	resultIn(t, makeFolder(t, twoVariants, "2"), "2", func(r *v1.Report) { r.Patterns[0].Hardened = true }, passed)
	for name, test := range map[string]struct{ folder, want string }{
		"nothing there":     {filepath.Join(t.TempDir(), "nowhere"), "no such file"},
		"no results":        {t.TempDir(), "holds neither report.json nor journal.jsonl"},
		"interrupted":       {result(t, func(r *v1.Report) { r.Run.Interrupted = "interrupt" }, passed), "was interrupted (interrupt), and what it did not get to says nothing: run it again"},
		"killed":            {result(t, func(r *v1.Report) { r.Run.Complete = false }, passed), "was killed or is still going on"},
		"without a pattern": {result(t, func(r *v1.Report) { r.Patterns, r.Run.Error = nil, "no cluster" }), "holds no pattern: no cluster"},
		"another pattern":   {result(t, func(r *v1.Report) { r.Patterns[0].Name = "bank" }, passed), "no pattern in common"},
		"another variant":   {result(t, func(r *v1.Report) { r.Patterns[0].Hardened = true }, passed), "has the variant that its source has, run 20261123-020000-aaaa the hardened variant"},
		"two meshes":        {twoMeshes, "holds runs of istio 1.31.0 (revision default) on cluster 5c1e and of istio 1.27.9 (revision default) on cluster 5c1e"},
		"two variants":      {twoVariants, "pattern shop cannot be compared"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Load(good)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Load(test.folder)
			if err == nil {
				_, err = Compare(a, b)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, test.want)
			}
		})
	}
}

func TestOnlyOneSideHasAPattern(t *testing.T) {
	both := func(r *v1.Report) {
		r.Patterns = append(r.Patterns, v1.Pattern{Name: "bank", Claims: []v1.Claim{{ID: "bank/is-safe", Alias: "BK1", Verdict: v1.Failed}}})
	}
	a, b := result(t, nil, claim(v1.Passed)), result(t, both, claim(v1.Passed))
	for only, comparison := range map[string]Comparison{"B": compared(t, a, b), "A": compared(t, b, a)} {
		want := map[Class]int{Unchanged: 1, New: 1}
		if only == "A" {
			want = map[Class]int{Unchanged: 1, Gone: 1}
		}
		if diff := cmp.Diff(want, comparison.Counts); diff != "" {
			t.Errorf("only %s (-want +got):\n%s", only, diff)
		}
		if got := comparison.Patterns[1]; got.Name != "bank" || got.Only != only {
			t.Errorf("only %s: %+v", only, got)
		}
	}
}

func TestOtherParametersAreTold(t *testing.T) {
	a := result(t, nil, claim(v1.Passed))
	b := result(t, func(r *v1.Report) {
		r.Patterns[0].Parameters = map[string]string{"shop_namespace": "shop-b", "new": "x"}
	}, claim(v1.Passed))
	if diff := cmp.Diff(map[string]string{"shop_namespace": "shop -> shop-b"}, compared(t, a, b).Patterns[0].Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if got := compared(t, a, a).Patterns[0].Parameters; len(got) > 0 {
		t.Errorf("the same parameters: %v", got)
	}
}

// "latest" leads to a run that is there already, and other folders hold no results.
func TestARunCountsOnce(t *testing.T) {
	folder := several(t, claim(v1.Passed), claim(v1.Passed))
	makeFolder(t, folder, "notes")
	link(t, "20261123-020001-aaaa", filepath.Join(folder, "latest"))
	side, err := Load(folder)
	if err != nil || len(side.runs) != 2 {
		t.Errorf("%d runs, error %v", len(side.runs), err)
	}
	if side, err = Load(filepath.Join(folder, "latest")); err != nil || len(side.runs) != 1 {
		t.Errorf("latest: %d runs, error %v", len(side.runs), err)
	}
}
