package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// play is a session that a test plays: what is judged, which effect a mutant has, and what goes wrong, by its name.
type play struct {
	judged                          map[string][]v1.Claim
	effect                          map[string]string
	cannotMutate, cannotJudge, tied map[string]error
	// done is what was done, in order; mutated is the mutant that is in.
	done    []string
	mutated string
	patches string
}

func (p *play) Judge(_ context.Context, judging run.Judging, _ run.Sink) (v1.Pattern, error) {
	name, mutation := judging.Name, judging.Mutation
	p.done = append(p.done, "judge "+name)
	if name != "baseline" && filepath.Dir(mutation) == "." {
		return v1.Pattern{}, fmt.Errorf("it is judged with the file %q", mutation)
	}
	return v1.Pattern{Claims: p.judged[filepath.Base(name)]}, p.cannotJudge[filepath.Base(name)]
}

func (p *play) Mutate(_ context.Context, file, shows string) (string, error) {
	p.mutated = filepath.Base(filepath.Dir(file))
	data, err := os.ReadFile(file)
	p.patches = string(data)
	p.done = append(p.done, strings.TrimSpace("mutate "+p.mutated+" "+shows))
	return p.effect[p.mutated], errors.Join(err, p.cannotMutate[p.mutated])
}

func (p *play) Restore(context.Context) error {
	p.done = append(p.done, "restore")
	return p.tied[p.mutated]
}

// listener is told, and keeps what it was told.
type listener struct{ told []string }

func (l *listener) Baseline(judged v1.Pattern, _ time.Duration) {
	l.told = append(l.told, fmt.Sprintf("%d claims", len(judged.Claims)))
}
func (l *listener) Started(m Mutant)  { l.told = append(l.told, m.Name) }
func (l *listener) Finished(r Result) { l.told = append(l.told, string(r.Score)) }

var (
	whole  = []v1.Claim{claim("SH1", v1.Passed, ""), claim("SH2", v1.Passed, "")}
	closed = Mutant{Name: "closed", Says: "it is closed", Killed: Death{By: "SH1", Cause: pattern.NotAnswered}, Patches: []byte(patch), Shows: "http://shop.lab"}
	unsafe = Mutant{Name: "unsafe", Says: "it is unsafe", Killed: Death{By: "SH2", Cause: pattern.PlainText}, Requires: "routes", Patches: []byte(patch)}
)

// prove runs a proof of both mutants, and compares what was done, what came of it, and what is in the file.
func prove(t *testing.T, session *play, unmet map[string]string) (results []Result, told []string, err error) {
	t.Helper()
	p := proof{session: session, folder: t.TempDir(), options: Options{Unmet: unmet}}
	var l listener
	results, err = p.run(t.Context(), []Mutant{closed, unsafe}, &l)
	var written []Result
	if data, readErr := os.ReadFile(filepath.Join(p.folder, ResultFile)); readErr == nil {
		if err := json.Unmarshal(data, &written); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(results, written, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what is in the file (-want +got):\n%s", diff)
	}
	return results, l.told, err
}

func TestProof(t *testing.T) {
	dead := []v1.Claim{claim("SH1", v1.Failed, pattern.NotAnswered), claim("SH2", v1.Passed, "")}
	plain := []v1.Claim{claim("SH1", v1.Passed, ""), claim("SH2", v1.Failed, pattern.PlainText)}
	shows := map[string]string{"closed": "a: routes", "unsafe": "b: listeners"}
	const first = "judge baseline, mutate closed http://shop.lab, judge mutants/closed, restore"
	broken := errors.New("the webhook is down")
	for name, test := range map[string]struct {
		session play
		unmet   map[string]string
		done    string
		told    string
		detail  string
		err     string
	}{
		"both are killed": {
			play{judged: map[string][]v1.Claim{"baseline": whole, "closed": dead, "unsafe": plain}, effect: shows}, nil,
			first + ", mutate unsafe, judge mutants/unsafe, restore", "2 claims, closed, killed, unsafe, killed", "", "",
		},
		"one survives, and the next is tried": {
			play{judged: map[string][]v1.Claim{"baseline": whole, "closed": whole, "unsafe": plain}, effect: shows}, nil,
			first + ", mutate unsafe, judge mutants/unsafe, restore", "2 claims, closed, survived, unsafe, killed", "SH1 stays green", "",
		},
		"one has no effect, so it is not judged": {
			play{judged: map[string][]v1.Claim{"baseline": whole, "unsafe": plain}, effect: map[string]string{"unsafe": "b: listeners"}}, nil,
			"judge baseline, mutate closed http://shop.lab, restore, mutate unsafe, judge mutants/unsafe, restore", "2 claims, closed, no effect, unsafe, killed", "no proxy shows any effect", "",
		},
		"one cannot be brought in": {
			play{judged: map[string][]v1.Claim{"baseline": whole, "unsafe": plain}, effect: shows, cannotMutate: map[string]error{"closed": broken}}, nil,
			"judge baseline, mutate closed http://shop.lab, restore, mutate unsafe, judge mutants/unsafe, restore", "2 claims, closed, not judged, unsafe, killed", "the webhook is down", "",
		},
		"one needs what is not there": {
			play{judged: map[string][]v1.Claim{"baseline": whole, "closed": dead}, effect: shows}, map[string]string{"routes": "there are no Routes"},
			first, "2 claims, closed, killed, unsafe, skipped", "", "",
		},
		"the pattern itself is red": {
			play{judged: map[string][]v1.Claim{"baseline": plain}}, nil, "judge baseline", "2 claims", "",
			"the pattern itself is not proven (1 failed, 0 inconclusive; ): a mutant could not be told from it; see ",
		},
		"nothing of the pattern is judged": {
			play{judged: map[string][]v1.Claim{"baseline": {claim("SH1", v1.Skipped, "")}}}, nil, "judge baseline", "1 claims", "", "the pattern itself is not proven (0 failed, 0 inconclusive",
		},
		"the pattern cannot be judged": {play{cannotJudge: map[string]error{"baseline": broken}}, nil, "judge baseline", "", "", "the webhook is down"},
		"a mutant cannot be judged": {
			play{judged: map[string][]v1.Claim{"baseline": whole}, effect: shows, cannotJudge: map[string]error{"closed": broken}}, nil,
			"judge baseline, mutate closed http://shop.lab, judge mutants/closed", "2 claims, closed", "", "mutant closed: the webhook is down",
		},
		"one cannot be taken back, which ends the proof": {
			play{judged: map[string][]v1.Claim{"baseline": whole, "closed": dead}, effect: shows, tied: map[string]error{"closed": broken}}, nil,
			first, "2 claims, closed, killed", "", "mutant closed: the webhook is down",
		},
	} {
		t.Run(name, func(t *testing.T) {
			results, told, err := prove(t, &test.session, test.unmet)
			if got := strings.Join(test.session.done, ", "); got != test.done {
				t.Errorf("done: %s\nwant: %s", got, test.done)
			}
			if got := strings.Join(told, ", "); got != test.told {
				t.Errorf("told: %s\nwant: %s", got, test.told)
			}
			if (err != nil) != (test.err != "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if len(results) > 0 && results[0].Detail != test.detail {
				t.Errorf("the first one's detail %q, want %q", results[0].Detail, test.detail)
			}
			if test.session.mutated != "" && test.session.patches != patch {
				t.Errorf("it was mutated by %q", test.session.patches)
			}
		})
	}
}

func TestProofTellsTheEffect(t *testing.T) {
	session := &play{judged: map[string][]v1.Claim{"baseline": whole, "closed": whole, "unsafe": whole}, effect: map[string]string{"closed": "a: routes"}}
	results, _, err := prove(t, session, nil)
	if err != nil || results[0].Effect != "a: routes" || results[1].Effect != "" {
		t.Errorf("results %+v, error %v", results, err)
	}
}

func TestProofEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	session := &play{judged: map[string][]v1.Claim{"baseline": whole}}
	p := proof{session: session, folder: t.TempDir()}
	if _, err := p.run(ctx, []Mutant{closed}, &listener{}); !errors.Is(err, interrupted) || len(session.done) != 1 {
		t.Errorf("error %v after %v", err, session.done)
	}
}
