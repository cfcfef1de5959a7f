package pattern

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestEnvMeets(t *testing.T) {
	env := &Env{Pattern: example(nil)}
	if !env.Meets("routes") {
		t.Error("a requirement of which nothing is said is not met")
	}
	env.Unmet = map[string]string{"routes": "there are none"}
	if env.Meets("routes") {
		t.Error("an unmet requirement is met")
	}
	if got, want := panicOf(func() { env.Meets("route") }), `pattern shop declares no requirement "route"`; got != want {
		t.Errorf("panic %q, want %q", got, want)
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
	name     string
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
	return traffic.Result{Probe: probe, Status: status, Body: "from " + s.name}, nil
}

// specOutcome is what became of a spec, and what its environment knows of its claim. Turn is when it ran.
type specOutcome struct {
	State, Failure string
	Outcome        Outcome
	Turn           int
}

// aliases are the claims of the specs below, in the order in which they run, though they are registered in another.
var aliases = []string{"EMPTY", "JUDGED", "CONTROL", "GONE", "FAILED", "REFUSED", "CHANGED", "STUCK", "RELAPSED", "ELSEWHERE", "BESIDE", "NOWHERE", "NOTED", "SKIPPED", "SPOILING", "DISRUPTED"}

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
	for _, alias := range aliases {
		claims = append(claims, Claim{Alias: alias, Slug: strings.ToLower(alias)})
	}
	// It runs last, wherever it stands.
	claims = slices.Insert(claims[:len(claims)-1], 1, Claim{Alias: "DISRUPTED", Slug: "disrupted", Disruptive: true})
	env := &Env{Pattern: Pattern{Name: "specs", Claims: claims}, Observer: &evidence.Observer{}, ControlTimeout: time.Minute}
	outcomes := map[string]specOutcome{}
	probe := func(ctx context.Context, statuses ...int) (evidence.Flows, *script) {
		client := &script{statuses: statuses}
		env.Client = client
		return env.Probe(ctx, Measure{Count: 2}), client
	}
	// refuse tells, as its detail, what was done in which order; change is called for each change of the configuration.
	refuse := func(ctx context.Context, statuses []int, change func(what string) error) {
		client := &script{statuses: statuses}
		env.Client = client
		defer func() { // also when the spec fails
			env.change(AliasOf(ginkgo.CurrentSpecReport().Labels()), func(o *Outcome) {
				o.Judgements = append(o.Judgements, evidence.Judgement{Statement: "what was done", Detail: strings.Join(client.labels, " ")})
			})
		}()
		refusal := Refusal{Requests: []traffic.Request{{URL: "http://page.lab/a"}, {URL: "http://page.lab/b"}}, Control: traffic.Request{URL: "http://page.lab"}, Count: 2}
		if change != nil {
			note := func(what string) func(context.Context) error {
				return func(context.Context) error {
					client.labels = append(client.labels, what)
					return change(what)
				}
			}
			refusal.Permit, refusal.Forbid = note("permit"), note("forbid")
		}
		flows := env.Refuse(ctx, refusal)
		client.labels = append(client.labels, fmt.Sprintf("%d refused %d controls", len(flows.List), len(flows.Controls)))
	}
	ginkgo.BeforeEach(env.RequireUnspoilt)
	ginkgo.AfterEach(env.RequireJudgement)
	ginkgo.ReportAfterEach(func(report ginkgo.SpecReport) {
		alias := AliasOf(report.Labels())
		outcomes[alias] = specOutcome{report.State.String(), report.Failure.Message, env.Outcome(alias), len(outcomes)}
	})
	ginkgo.It("disrupts its neighbours", env.Claim("DISRUPTED"), func() {})
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
	ginkgo.It("is refused between controls", env.Claim("REFUSED"), func(ctx ginkgo.SpecContext) { refuse(ctx, []int{200}, nil) })
	ginkgo.It("is refused by a change between controls", env.Claim("CHANGED"), func(ctx ginkgo.SpecContext) {
		refuse(ctx, []int{200}, func(string) error { return nil })
	})
	ginkgo.It("cannot be forbidden", env.Claim("STUCK"), func(ctx ginkgo.SpecContext) {
		refuse(ctx, []int{200}, func(what string) error {
			if what == "forbid" {
				err := errors.New("the proxies do not hold it")
				env.Trouble("the configuration can be changed", err) // by who changes it
				return err
			}
			return nil
		})
	})
	ginkgo.It("cannot be permitted again", env.Claim("RELAPSED"), func(ctx ginkgo.SpecContext) {
		permitted := false
		refuse(ctx, []int{200}, func(what string) error {
			if what == "permit" && permitted {
				return errors.New("the webhook is down")
			}
			permitted = permitted || what == "permit"
			return nil
		})
	})
	ginkgo.It("starts at an agent", env.Claim("ELSEWHERE"), func(ctx ginkgo.SpecContext) {
		env.Vantage = func(_ context.Context, agent string) (traffic.Client, error) {
			return &script{statuses: []int{200}, name: agent}, nil
		}
		env.Client = nil
		flows := env.Probe(ctx, Measure{Count: 1, From: "outside"})
		flows.Judge(evidence.Judgement{Outcome: evidence.True, Detail: flows.List[0].Result.Body})
	})
	ginkgo.It("is refused where another agent is served", env.Claim("BESIDE"), func(ctx ginkgo.SpecContext) {
		env.Vantage = func(_ context.Context, agent string) (traffic.Client, error) {
			status := map[string]int{"outside": 403, "inside": 200}[agent]
			return &script{statuses: []int{status}, name: agent}, nil
		}
		env.Client = nil
		page := traffic.Request{URL: "http://page.lab"}
		flows := env.Refuse(ctx, Refusal{Requests: []traffic.Request{page}, Control: page, From: "outside", ControlFrom: "inside", Count: 2})
		var who []string
		for _, flow := range append(flows.List, flows.Controls...) {
			who = append(who, flow.Result.Body)
		}
		flows.Judge(evidence.Judgement{Outcome: evidence.True, Detail: strings.Join(who, ", ")})
	})
	ginkgo.It("starts nowhere", env.Claim("NOWHERE"), func(ctx ginkgo.SpecContext) {
		env.Vantage = func(context.Context, string) (traffic.Client, error) { return nil, errors.New("no such pod") }
		env.Probe(ctx, Measure{Count: 1, From: "outside"})
	})
	ginkgo.It("notes what it has found", env.Claim("NOTED"), func(ctx ginkgo.SpecContext) {
		env.Tried(Way{Name: "another port", From: "outside", To: "the server", Cause: Unreachable, Control: "the gateway"})
		env.Finding("port %d is open", 27017)
		env.Tried(Way{Name: "another name", Open: true})
		refuse(ctx, []int{200}, nil)
	})
	ginkgo.It("leaves something behind", env.Claim("SPOILING"), func(ctx ginkgo.SpecContext) {
		flows, _ := probe(ctx, 200)
		flows.Judge(evidence.Judgement{Statement: "it holds", Outcome: evidence.True, Probes: len(flows.List)})
		env.Spoil("the addresses are as they were", errors.New("another has it"))
	})
	ginkgo.It("needs what is not there", env.Claim("SKIPPED"), func() { ginkgo.Skip("there are no routes") })
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
	turns := slices.SortedFunc(maps.Keys(outcomes), func(a, b string) int { return outcomes[a].Turn - outcomes[b].Turn })
	if diff := cmp.Diff(aliases, turns); diff != "" {
		t.Errorf("the specs ran in this order (-want +got):\n%s", diff)
	}
	// done is what was done for a refusal, after what could not be.
	done := func(detail string, before ...evidence.Judgement) []evidence.Judgement {
		return append(before, evidence.Judgement{Statement: "what was done", Detail: detail})
	}
	const spoilt = "what an earlier check had changed could not be taken back: leaves something behind: another has it"
	const control = "control control control" // the positive control, which is judged beside what is refused
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
		"REFUSED": {"passed", "", done(control + " REFUSED REFUSED REFUSED REFUSED " + control + " 4 refused 6 controls"), true, true},
		"CHANGED": {"passed", "", done("permit " + control + " forbid CHANGED CHANGED CHANGED CHANGED permit " + control + " 4 refused 6 controls"), true, true},
		"STUCK": {"failed", "the configuration can be changed: the proxies do not hold it", done("permit "+control+" forbid",
			unknown(Environment, "the configuration can be changed", "the proxies do not hold it")...), true, false},
		"RELAPSED": {"failed", "the configuration can be changed: the webhook is down", done("permit "+control+" forbid RELAPSED RELAPSED RELAPSED RELAPSED permit",
			unknown(Environment, "the configuration can be changed", "the webhook is down")...), true, false},
		"ELSEWHERE": {"passed", "", []evidence.Judgement{{Outcome: evidence.True, Detail: "from outside"}}, true, true},
		"BESIDE": {"passed", "", []evidence.Judgement{{Outcome: evidence.True, Detail: "from outside, from outside, " +
			"from inside, from inside, from inside, from inside, from inside, from inside"}}, true, true},
		"NOWHERE": {"failed", "the vantage point can be used: no such pod", unknown(Environment, "the vantage point can be used", "no such pod"), false, false},
		"NOTED":   {"passed", "", done(control + " NOTED NOTED NOTED NOTED " + control + " 4 refused 6 controls"), true, true},
		"SKIPPED": {"skipped", "there are no routes", nil, false, false},
		"SPOILING": {"passed", "", append([]evidence.Judgement{{Statement: "it holds", Outcome: evidence.True, Probes: 2}},
			unknown(Environment, "the addresses are as they were", "another has it")...), true, true},
		"DISRUPTED": {"failed", spoilt, []evidence.Judgement{{Statement: "the claim can be judged on this cluster", Outcome: evidence.Unknown, Cause: string(Environment), Detail: spoilt, Remedy: "run this claim alone"}}, false, false},
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
	wanted := Outcome{Findings: []string{"port 27017 is open"}, Ways: []Way{
		{Name: "another port", From: "outside", To: "the server", Cause: Unreachable, Control: "the gateway"}, {Name: "another name", Open: true},
	}}
	for alias, outcome := range outcomes {
		got := Outcome{Findings: outcome.Outcome.Findings, Ways: outcome.Outcome.Ways}
		if alias != "NOTED" && (len(got.Findings) > 0 || len(got.Ways) > 0) {
			t.Errorf("what NOTED has found is told of %s", alias)
		} else if diff := cmp.Diff(wanted, got); alias == "NOTED" && diff != "" {
			t.Errorf("what it has found (-want +got):\n%s", diff)
		}
	}
}
