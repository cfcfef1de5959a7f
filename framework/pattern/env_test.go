package pattern

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/traffic"
)

// panicOf is what work panics with; empty when it does not.
func panicOf(work func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	work()
	return ""
}

func TestEnvClaimTiesASpecToItsClaim(t *testing.T) {
	env := &Env{Pattern: example(nil)}
	labels, ok := env.Claim("SH2")[0].(ginkgo.Labels)
	if !ok || AliasOf(labels) != "SH2" || !slices.Contains(labels, LabelOf("SH2")) {
		t.Errorf("labels %v", labels)
	}
	if diff := cmp.Diff([]string{"SH1"}, env.Unproven()); diff != "" {
		t.Errorf("unproven (-want +got):\n%s", diff)
	}
}

func TestEnvClaimPanicsWhenTheAuthorIsMistaken(t *testing.T) {
	for name, test := range map[string]struct{ aliases, want string }{
		"unknown":             {"SH3", `pattern shop has no claim with the alias "SH3"`},
		"a slug":              {"is-open", `pattern shop has no claim with the alias "is-open"`},
		"in lower case":       {"sh1", `pattern shop has no claim with the alias "sh1"`},
		"twice":               {"SH1 SH2 SH1", "claim SH1 of pattern shop has two specs"},
		"each once, no panic": {"SH1 SH2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := &Env{Pattern: example(nil)}
			got := panicOf(func() {
				for _, alias := range strings.Fields(test.aliases) {
					env.Claim(alias)
				}
			})
			if got != test.want {
				t.Errorf("panic %q, want %q", got, test.want)
			}
		})
	}
}

func TestAliasOfLabelsWithoutAClaimIsEmpty(t *testing.T) {
	if got := AliasOf([]string{"slow", "SH1"}); got != "" {
		t.Errorf("alias %q", got)
	}
}

func TestEnvIdentity(t *testing.T) {
	env := &Env{TrustDomain: "cluster.local"}
	if got := env.Identity("shop", "till"); got != "spiffe://cluster.local/ns/shop/sa/till" {
		t.Errorf("identity %s", got)
	}
}

func TestEnvOutcomeOfAClaimThatWasNotJudgedIsEmpty(t *testing.T) {
	if diff := cmp.Diff(Outcome{}, new(Env).Outcome("SH1")); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

// script is a vantage point that answers with one status after another, the last one for ever; 0 is an error of its own.
type script struct {
	statuses []int
	labels   []string
}

func (*script) Name() string { return "script" }

func (s *script) Do(_ context.Context, probe traffic.Probe) (traffic.Result, error) {
	s.labels = append(s.labels, strings.Split(probe.ID, "-")[1])
	status := s.statuses[0]
	if len(s.statuses) > 1 {
		s.statuses = s.statuses[1:]
	}
	if status == 0 {
		return traffic.Result{Probe: probe}, errors.New("the pod is gone")
	}
	return traffic.Result{Probe: probe, Status: status}, nil
}

// specOutcome is what became of a spec, and what its environment knows of its claim.
type specOutcome struct {
	State, Failure string
	Outcome        Outcome
}

// specsFile names the file to which a process that runs the specs below writes their outcomes, by alias.
const specsFile = "MESHPROOF_TEST_SPECS_FILE"

// TestMain runs the specs in a process of their own: Ginkgo runs a suite once in a process, and writes to its output.
func TestMain(m *testing.M) {
	if path := os.Getenv(specsFile); path != "" {
		flag.Parse()
		if err := runSpecs(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runSpecs(path string) error {
	var claims []Claim
	for _, alias := range []string{"EMPTY", "JUDGED", "CONTROL", "GONE", "FAILED"} {
		claims = append(claims, Claim{Alias: alias, Slug: strings.ToLower(alias)})
	}
	env := &Env{Pattern: Pattern{Name: "specs", Claims: claims}, Observer: &evidence.Observer{}}
	outcomes := map[string]specOutcome{}
	probe := func(ctx context.Context, statuses ...int) (evidence.Flows, *script) {
		client := &script{statuses: statuses}
		env.Client = client
		return env.Probe(ctx, Measure{Count: 2}), client
	}
	ginkgo.Describe("an environment", func() {
		ginkgo.AfterEach(env.RequireJudgement)
		ginkgo.ReportAfterEach(func(report ginkgo.SpecReport) {
			alias := AliasOf(report.Labels())
			outcomes[alias] = specOutcome{report.State.String(), report.Failure.Message, env.Outcome(alias)}
		})
		ginkgo.It("judges nothing", env.Claim("EMPTY"), func() {})
		ginkgo.It("fails without judging", env.Claim("FAILED"), func() { ginkgo.Fail("of the author's own") })
		ginkgo.It("judges", env.Claim("JUDGED"), func(ctx ginkgo.SpecContext) {
			flows, _ := probe(ctx, 200)
			flows.Judge(evidence.Judgement{Statement: "it holds", Outcome: evidence.True, Probes: len(flows.List)})
		})
		ginkgo.It("waits for its control", env.Claim("CONTROL"), func(ctx ginkgo.SpecContext) {
			flows, client := probe(ctx, 200, 200, 503, 200, 0, 200)
			flows.Judge(evidence.Judgement{Outcome: evidence.True, Detail: strings.Join(client.labels, " ")})
		})
		ginkgo.It("loses its vantage point", env.Claim("GONE"), func(ctx ginkgo.SpecContext) {
			probe(ctx, 200, 200, 200, 0)
		})
	})
	ginkgo.RunSpecs(silent{}, "environment")
	data, err := json.Marshal(outcomes)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// silent takes Ginkgo's word that specs have failed, as some must.
type silent struct{}

func (silent) Fail() {}

var probeID = regexp.MustCompile(`mp-\w+-\w+-\d+`)

func TestEnvInSpecs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outcomes.json")
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), specsFile+"="+path)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("run the specs: %v\n%s", err, output)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var outcomes map[string]specOutcome
	if err := json.Unmarshal(data, &outcomes); err != nil {
		t.Fatal(err)
	}
	unknown := func(cause Cause, statement, detail string) []evidence.Judgement {
		return []evidence.Judgement{{Statement: statement, Outcome: evidence.Unknown, Cause: string(cause), Detail: detail}}
	}
	for alias, test := range map[string]struct {
		state, failure string
		judgements     []evidence.Judgement
		// control and sample tell whether the positive control succeeded, and a flow was kept.
		control, sample bool
	}{
		"EMPTY":  {"failed", "the check of EMPTY judged no probe", unknown(EvidenceMissing, "the check judges its probes", "the check judged no probe"), false, false},
		"FAILED": {"failed", "of the author's own", nil, false, false},
		"JUDGED": {"passed", "", []evidence.Judgement{{Statement: "it holds", Outcome: evidence.True, Probes: 2}}, true, true},
		"CONTROL": {"passed", "", []evidence.Judgement{{Outcome: evidence.True,
			Detail: "control control control control control control control control CONTROL CONTROL"}}, true, true},
		"GONE": {"failed", "the vantage point can send probes: send probe ID from script: the pod is gone",
			unknown(Environment, "the vantage point can send probes", "send probe ID from script: the pod is gone"), true, false},
	} {
		t.Run(alias, func(t *testing.T) {
			got := outcomes[alias]
			failure := probeID.ReplaceAllString(got.Failure, "ID")
			if got.State != test.state || failure != test.failure {
				t.Errorf("the spec %s: %s; want %s: %s", got.State, failure, test.state, test.failure)
			}
			judgements := got.Outcome.Judgements
			for index := range judgements {
				judgements[index].Detail = probeID.ReplaceAllString(judgements[index].Detail, "ID")
			}
			if diff := cmp.Diff(test.judgements, judgements, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("judgements (-want +got):\n%s", diff)
			}
			if (got.Outcome.TrueAfter != nil) != test.control || (got.Outcome.Sample != nil) != test.sample {
				t.Errorf("true after %v, sample %v", got.Outcome.TrueAfter, got.Outcome.Sample)
			}
		})
	}
}
