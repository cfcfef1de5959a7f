package run

import (
	"context"
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/reproduce"
	"github.com/meshproof/meshproof/framework/traffic"
)

// reproduceFolder is the one in a check's folder.
const reproduceFolder = "reproduce"

// reproduce writes a script that shows the failure again. What one probe does not show, such as a limit, has none.
func (i *installation) reproduce(ctx context.Context, claim pattern.Claim, outcome pattern.Outcome) error {
	c := i.child
	flows := lookedAt(outcome)
	decisive, found := decisiveJudgement(outcome.Judgements)
	if !found || len(flows) == 0 {
		return nil
	}
	flow := flows[0]
	hops := i.hopsToShow(outcome, flow)
	promise, promised := promiseOf(decisive, flow, hops, c.env.Observer.Gaps())
	if !promised {
		return nil
	}
	installed := i.objects
	if now, ok := c.env.Configuration.(*configuration); ok {
		installed = now.now
	}
	from, err := i.agentOf(ctx, flow.Result.From)
	if err != nil {
		return err
	}
	return reproduce.Write(filepath.Join(c.job.Results, claim.Alias, reproduceFolder), reproduce.Case{
		Pattern: c.pattern.Name, Alias: claim.Alias, Text: claim.Text, Saw: decisive.Detail, Objects: installed, Namespaces: c.pattern.Namespaces(c.job.Values),
		Parameters: i.reproduced(installed), RouterCA: c.env.RouterCA, Probe: flow.Result.Probe, From: from, Hops: hops, Promise: promise, Redactor: redactor,
	})
}

// promiseOf is what shows the failure; false when one probe does not.
func promiseOf(decisive evidence.Judgement, flow evidence.Flow, hops []reproduce.Hop, gaps map[string]evidence.Gap) (reproduce.Promise, bool) {
	for index, hop := range hops {
		gap, found := gaps[hop.Name]
		if found && !gap.Silent && decisive.Outcome == evidence.Unknown && hop.Container == pattern.ProxyContainer {
			return reproduce.Promise{Hop: index, Absent: true}, true
		}
	}
	result := flow.Result
	refused := !result.Served() && (result.Err != "" || result.Database == nil && result.Status != 200)
	switch cause := pattern.Cause(decisive.Cause); {
	case cause == pattern.WrongIdentity && len(flow.Records) > 0:
		index := slices.IndexFunc(hops, func(h reproduce.Hop) bool {
			return h.Container != pattern.ProxyContainer && len(flow.RecordsAt(h.Name)) > 0
		})
		if index >= 0 {
			if peers := flow.RecordsAt(hops[index].Name)[0].Peers(); len(peers) > 0 {
				return reproduce.Promise{Hop: index, Text: peers[0]}, true
			}
		}
	case cause == pattern.NotRefused && result.Database != nil:
		return reproduce.Promise{Answer: map[bool]string{true: "the database answered", false: `"replies"`}[result.From == "runner"]}, true
	case cause == pattern.NotRefused && result.Served():
		return reproduce.Promise{Status: result.Status}, true
	case refused && result.Database != nil:
		return reproduce.Promise{Answer: strings.TrimSpace(result.Err[strings.LastIndex(result.Err, ": ")+1:])}, true
	case refused:
		return reproduce.Promise{Status: result.Status}, true
	case cause == pattern.WrongCluster || cause == pattern.WrongPeer || cause == pattern.Bypassed || cause == pattern.PlainText:
		for index, hop := range hops {
			for _, line := range flow.At(hop.Name, false) {
				if hop.Container == pattern.ProxyContainer && line.UpstreamCluster != "" {
					return reproduce.Promise{Hop: index, Text: line.UpstreamCluster}, true
				}
			}
		}
	}
	return reproduce.Promise{}, false
}

// hopsToShow are the hops that recorded the flow, or should have, the one that the verdict is about first: its proxies, and its
// application where that has a record.
func (i *installation) hopsToShow(outcome pattern.Outcome, flow evidence.Flow) []reproduce.Hop {
	c := i.child
	used := i.used(outcome)
	about := i.facts("", outcome, i.live()).About()
	var first, others []reproduce.Hop
	for _, hop := range c.pattern.Hops {
		if !slices.Contains(used, hop.Name) {
			continue
		}
		shown := reproduce.Hop{Name: hop.Name, Namespace: c.job.Values[hop.Namespace], Selector: hop.Selector, Container: pattern.ProxyContainer, ByProbe: flow.Result.Database == nil}
		if lines := slices.Concat(flow.At(hop.Name, false), flow.At(hop.Name, true)); len(lines) > 0 {
			shown.ByProbe = slices.ContainsFunc(lines, func(l evidence.Line) bool { return l.UserAgent != "" || l.Path != "" })
			if out := flow.ConnectionsAt(hop.Name, false); len(out) > 0 && hop.Name == about {
				shown.ByProbe = false
			}
		}
		var all []reproduce.Hop
		if hop.Kind != pattern.Plain {
			all = append(all, shown)
		}
		if len(flow.RecordsAt(hop.Name)) > 0 {
			application := shown
			application.Container, application.ByProbe = hop.Container, true
			all = append(all, application)
		}
		if hop.Name == about {
			first = append(first, all...)
		} else {
			others = append(others, all...)
		}
	}
	return append(first, others...)
}

// agentOf finds the agent that a vantage point in the cluster is; nil for the runner.
func (i *installation) agentOf(ctx context.Context, vantage string) (*reproduce.Agent, error) {
	c := i.child
	namespace, name, inPod := strings.Cut(strings.TrimPrefix(vantage, "pod "), "/")
	if !inPod {
		return nil, nil
	}
	pod, err := i.client.Typed.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for _, agent := range c.pattern.Agents {
		selector, err := labels.Parse(agent.Selector)
		if err == nil && c.job.Values[agent.Namespace] == namespace && selector.Matches(labels.Set(pod.Labels)) {
			return &reproduce.Agent{Namespace: namespace, Selector: agent.Selector, Port: traffic.AgentPort}, nil
		}
	}
	return nil, nil
}

// reproduced are the parameters whose values a reproducer must not have, or cannot know beforehand.
func (i *installation) reproduced(objects []*unstructured.Unstructured) []reproduce.Parameter {
	c := i.child
	var parameters []reproduce.Parameter
	for _, p := range c.pattern.Parameters {
		value := c.job.Values[p.Name]
		text, _ := base64.StdEncoding.DecodeString(value)
		one := reproduce.Parameter{Name: p.Name, Value: value, Secret: p.Secret, Certificate: strings.HasPrefix(string(text), "-----BEGIN CERTIFICATE-----")}
		if from := p.Observed; from != nil && slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool {
			return o.GetKind() == from.Kind && o.GetNamespace() == c.job.Values[from.Namespace] && o.GetName() == from.Name
		}) {
			one.Observed = &reproduce.Observed{Resource: strings.ToLower(from.Kind), Namespace: c.job.Values[from.Namespace], Name: from.Name, Address: from.Address}
			for _, path := range from.Paths {
				one.Observed.Paths = append(one.Observed.Paths, jsonPath(path))
			}
		}
		if one.Secret || one.Certificate || one.Observed != nil {
			parameters = append(parameters, one)
		}
	}
	return parameters
}

// jsonPath is a place in an object as kubectl has it.
func jsonPath(path []string) string {
	text := "{"
	for _, field := range path {
		if field == "*" || strings.Trim(field, "0123456789") == "" {
			text += "[" + field + "]"
		} else {
			text += "." + field
		}
	}
	return text + "}"
}
