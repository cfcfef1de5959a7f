package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// preparing is an installation whose pattern is prepared by work, and what it writes to its journal.
func preparing(mutation string, work func(context.Context, *pattern.Env) error) (*installation, *bytes.Buffer) {
	var written bytes.Buffer
	p := example("shop", "SH", func(p *pattern.Pattern) { p.Prepare = work })
	c := &child{job: Job{Pattern: "shop", Mutation: mutation}, pattern: p, journal: v1.NewJournal(&written, v1.JournalOptions{}), env: &pattern.Env{Pattern: p}}
	return &installation{child: c}, &written
}

// eventsOf reads a journal.
func eventsOf(t *testing.T, written *bytes.Buffer) []v1.Event {
	t.Helper()
	var events []v1.Event
	for decoder := json.NewDecoder(written); decoder.More(); {
		var event v1.Event
		if err := decoder.Decode(&event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}

func TestPrepare(t *testing.T) {
	empty := errors.New("the database does not answer")
	for name, test := range map[string]struct {
		mutation string
		result   error
		err      string
		// note is part of a note in the journal; empty for none.
		note string
	}{
		"it can be":                      {"", nil, "", ""},
		"it cannot be":                   {"", empty, "prepare: the database does not answer", ""},
		"a mutant can be":                {"mutants/closed.yaml", nil, "", ""},
		"a mutant may keep it from that": {"mutants/closed.yaml", empty, "", "the mutant cannot be prepared: the database does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			var given *pattern.Env
			i, written := preparing(test.mutation, func(_ context.Context, env *pattern.Env) error {
				given = env
				return test.result
			})
			if err := i.prepare(t.Context()); errorText(err) != test.err {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if given != i.child.env {
				t.Error("it was not given the environment of the specs")
			}
			var phases, notes []string
			for _, event := range eventsOf(t, written) {
				switch {
				case event.Phase != nil:
					phases = append(phases, strings.TrimSpace(string(event.Type)+" "+event.Phase.Name+" "+event.Phase.Error))
				case event.Type == v1.Note:
					notes = append(notes, event.Message)
				}
			}
			want := string(v1.PhaseStarted) + " prepare, " + strings.TrimSpace(string(v1.PhaseFinished)+" prepare "+errorText(test.result))
			if got := strings.Join(phases, ", "); got != want {
				t.Errorf("phases %s\nwant %s", got, want)
			}
			if got := strings.Join(notes, ", "); got != test.note {
				t.Errorf("notes %q, want %q", got, test.note)
			}
		})
	}
}

func TestAPatternThatNeedsNoPreparationHasNoSuchPhase(t *testing.T) {
	i, written := preparing("", nil)
	if err := i.prepare(t.Context()); err != nil || written.Len() > 0 {
		t.Errorf("error %v, events %s", err, written)
	}
}

// An interrupt says nothing of the mutant.
func TestAnInterruptedPreparationIsNoMutants(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	i, _ := preparing("mutants/closed.yaml", func(ctx context.Context, _ *pattern.Env) error {
		cancel()
		return ctx.Err()
	})
	if err := i.prepare(ctx); !errors.Is(err, errInterrupted) {
		t.Errorf("error %v", err)
	}
}

// A kubelet looks for a Secret that is not there again after ever longer breaks.
func TestFirstStageKeepsBackWhatUsesWhatComesLater(t *testing.T) {
	workload := func(name, spec string) string {
		return "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: \"${shop_namespace}\"}\nspec: {template: {spec: " + spec + "}}\n"
	}
	secret := func(name, namespace, data string) string {
		return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: \"" + namespace + "\"}\nstringData: {url: \"" + data + "\"}\n"
	}
	const shop = "${shop_namespace}"
	for name, test := range map[string]struct {
		text string
		// first tells whether the Deployment is of the first stage.
		first bool
	}{
		"mounted":                          {secret("later", shop, "${address}") + workload("page", "{volumes: [{name: v, secret: {secretName: later}}]}"), false},
		"in its environment":               {secret("later", shop, "${address}") + workload("page", "{containers: [{name: c, env: [{name: U, valueFrom: {secretKeyRef: {name: later, key: url}}}]}]}"), false},
		"of a value that is computed":      {secret("later", shop, "${link}") + workload("page", "{volumes: [{name: v, secret: {secretName: later}}]}"), false},
		"a ConfigMap, which the base has":  {workload("page", "{volumes: [{name: v, configMap: {name: addresses}}]}"), false},
		"one that is there at first":       {secret("now", shop, "text") + workload("page", "{volumes: [{name: v, secret: {secretName: now}}]}"), true},
		"one of a longer name":             {secret("later", shop, "${address}") + workload("page", "{volumes: [{name: v, secret: {secretName: later-on}}]}"), true},
		"one of this name elsewhere":       {secret("later", "elsewhere", "${address}") + workload("page", "{volumes: [{name: v, secret: {secretName: later}}]}"), true},
		"another kind of object":           {workload("page", "{serviceAccountName: gateway}"), true},
		"what needs the value itself, too": {workload("page", "{hostAliases: [{ip: \"${address}\"}]}"), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := published(func(p *pattern.Pattern) {
				p.Manifests = fstest.MapFS{"all.yaml": {Data: []byte(string(p.Manifests.(fstest.MapFS)["all.yaml"].Data) + test.text)}}
				p.Parameters = append(p.Parameters,
					pattern.Parameter{Name: "elsewhere", Default: "elsewhere", Namespace: true, Unrendered: true},
					pattern.Parameter{Name: "link", Unrendered: true, Compute: func(v pattern.Values) (string, error) { return "to " + v["address"], nil }},
				)
			})
			stages, err := firstStage(p, jobOf(t, p, nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(described(stages.first), "Deployment shop/page"); got != test.first {
				t.Errorf("it comes first: %t; first come %s", got, described(stages.first))
			}
		})
	}
}

func TestObjectsOfTheHardenedVariant(t *testing.T) {
	p := example("shop", "SH", func(p *pattern.Pattern) {
		p.Hardened = fstest.MapFS{"a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: \"${shop_namespace}\"}\ndata: {host: \"safe.${hostname}\"}\n")}}
	})
	for hardened, want := range map[bool]string{false: "shop.lab", true: "safe.shop.lab"} {
		job := jobOf(t, p, nil)
		job.Options.Hardened = hardened
		objects, err := Objects(p, job)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := unstructured.NestedString(find(t, objects, "ConfigMap shop/settings"), "data", "host"); got != want {
			t.Errorf("hardened %t: host %s, want %s", hardened, got, want)
		}
	}
}

func TestAddressesOf(t *testing.T) {
	for given, want := range map[string]string{"192.0.2.7": "192.0.2.7", "fd00::1": "fd00::1", "localhost": "127.0.0.1"} {
		if got, err := addressesOf(t.Context(), given, 5*time.Second); err != nil || len(got) == 0 || got[0] != want {
			t.Errorf("%s is %s, want %s (error %v)", given, got, want, err)
		}
	}
	_, err := addressesOf(t.Context(), "no-such-name.invalid", 50*time.Millisecond)
	if err == nil || !strings.HasPrefix(err.Error(), "no-such-name.invalid has had no IPv4 address for 50ms: ") || !strings.Contains(err.Error(), "--set") {
		t.Errorf("error %v", err)
	}
	var unresolved *net.DNSError
	if !errors.As(err, &unresolved) {
		t.Errorf("what the resolver said is not told: %v", err)
	}
}
