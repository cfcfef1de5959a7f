package traffic

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wellFormed is what the evidence package recognises, which has a test of its own with these identities.
var wellFormed = regexp.MustCompile(`^mp-[A-Za-z0-9]+-[0-9a-f]{12}-[0-9]+$`)

func TestNewProbesHaveIdentitiesOfTheirOwn(t *testing.T) {
	request := Request{URL: "http://page.lab/", Method: "POST"}
	seen := map[string]bool{}
	for batch := range 100 {
		probes := NewProbes(request, "BG1", 12)
		if len(probes) != 12 {
			t.Fatalf("batch %d has %d probes, want 12", batch, len(probes))
		}
		for _, probe := range probes {
			if seen[probe.ID] || !wellFormed.MatchString(probe.ID) || !strings.HasPrefix(probe.ID, "mp-BG1-") {
				t.Fatalf("identity %s is malformed, or there twice", probe.ID)
			}
			seen[probe.ID] = true
			if diff := cmp.Diff(request, probe.Request); diff != "" {
				t.Fatalf("request of the probe (-want +got):\n%s", diff)
			}
		}
	}
	if got := NewProbes(request, "BG1", 0); len(got) != 0 {
		t.Errorf("%d probes, want none", len(got))
	}
}

func TestTargetAddsTheIdentityToTheQuery(t *testing.T) {
	for given, want := range map[string]string{
		"http://page.lab":                     "http://page.lab?meshproof=mp-X-1",
		"http://page.lab/productpage":         "http://page.lab/productpage?meshproof=mp-X-1",
		"http://page.lab/p?u=normal":          "http://page.lab/p?u=normal&meshproof=mp-X-1",
		"http://page.lab/p?b=2&a=1&b=3":       "http://page.lab/p?b=2&a=1&b=3&meshproof=mp-X-1",
		"http://page.lab/p?flag":              "http://page.lab/p?flag&meshproof=mp-X-1",
		"http://page.lab/p?q=a%20b+c%2Fd":     "http://page.lab/p?q=a%20b+c%2Fd&meshproof=mp-X-1",
		"http://page.lab/p?a=1;b=2":           "http://page.lab/p?a=1;b=2&meshproof=mp-X-1",
		"http://page.lab/a%2Fb?x=1#fragment":  "http://page.lab/a%2Fb?x=1&meshproof=mp-X-1#fragment",
		"https://user:pw@[fd00::1]:8443/p?x=": "https://user:pw@[fd00::1]:8443/p?x=&meshproof=mp-X-1",
	} {
		got, err := Probe{ID: "mp-X-1", Request: Request{URL: given}}.Target()
		if err != nil || got != want {
			t.Errorf("%s becomes %s (error %v), want %s", given, got, err, want)
		}
	}
}

func TestTargetRefusesWhatIsNoURL(t *testing.T) {
	_, err := Probe{ID: "mp-X-1", Request: Request{URL: "http://page.lab:port/"}}.Target()
	var malformed *url.Error
	if !errors.As(err, &malformed) || !strings.Contains(err.Error(), "the URL of probe mp-X-1") {
		t.Errorf("error %v", err)
	}
}

func TestHeadersCarryTheIdentityUnlessTheRequestHasItsOwnUserAgent(t *testing.T) {
	for name, test := range map[string]struct{ given, want map[string]string }{
		"none":                   {nil, map[string]string{"User-Agent": "meshproof/mp-X-1"}},
		"another":                {map[string]string{"plan-type": "gold"}, map[string]string{"User-Agent": "meshproof/mp-X-1", "Plan-Type": "gold"}},
		"its own, in lower case": {map[string]string{"user-agent": "Mozilla"}, map[string]string{"User-Agent": "Mozilla"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Probe{ID: "mp-X-1", Request: Request{Header: test.given}}.Headers()); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestZeroValuesOfARequest(t *testing.T) {
	if got := (Probe{}).Method(); got != "GET" {
		t.Errorf("method %s", got)
	}
	if got := (Probe{Request: Request{Method: "PUT"}}).Method(); got != "PUT" {
		t.Errorf("method %s, want that of the request", got)
	}
	if got := (Probe{}).Timeout(); got != DefaultTimeout {
		t.Errorf("timeout %s", got)
	}
	if got := (Probe{Request: Request{Timeout: time.Second}}).Timeout(); got != time.Second {
		t.Errorf("timeout %s, want that of the request", got)
	}
}

// clientFunc is a vantage point that does what the function does.
type clientFunc func(Probe) (Result, error)

func (clientFunc) Name() string { return "pod apps/client" }

func (f clientFunc) Do(_ context.Context, probe Probe) (Result, error) { return f(probe) }

func TestSendReturnsResultsInOrder(t *testing.T) {
	probes := NewProbes(Request{}, "BG1", 3)
	results, err := Send(t.Context(), clientFunc(func(probe Probe) (Result, error) { return Result{Probe: probe, Err: "refused"}, nil }), probes)
	if err != nil {
		t.Fatal(err)
	}
	var got []Probe
	for _, result := range results {
		got = append(got, result.Probe)
	}
	if diff := cmp.Diff(probes, got); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
}

func TestSendStopsWhenTheVantagePointFails(t *testing.T) {
	probes := NewProbes(Request{}, "BG1", 3)
	gone := errors.New("the pod is gone")
	asked := 0
	results, err := Send(t.Context(), clientFunc(func(probe Probe) (Result, error) {
		if asked++; asked == 2 {
			return Result{Probe: probe}, gone
		}
		return Result{Probe: probe}, nil
	}), probes)
	if !errors.Is(err, gone) || !strings.Contains(err.Error(), probes[1].ID) || !strings.Contains(err.Error(), "pod apps/client") {
		t.Errorf("error %v", err)
	}
	if len(results) != 1 || asked != 2 {
		t.Errorf("%d results after %d probes", len(results), asked)
	}
}

// A probe that was cut off by the end of the run says nothing about the mesh.
func TestSendStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	asked := 0
	results, err := Send(ctx, clientFunc(func(probe Probe) (Result, error) {
		if asked++; asked == 2 {
			cancel(interrupted)
			return Result{Probe: probe, Err: "context canceled"}, nil
		}
		return Result{Probe: probe, Status: 200}, nil
	}), NewProbes(Request{}, "BG1", 3))
	if !errors.Is(err, interrupted) || len(results) != 1 || asked != 2 {
		t.Errorf("error %v, %d results after %d probes; want what ended the context, and the result before", err, len(results), asked)
	}
}
