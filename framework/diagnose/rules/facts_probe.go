package rules

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/evidence"
)

// none is what a field has where there is nothing.
const none = "none"

// lines are what proxies logged about the probes, those of the first hop first.
func lines(_ context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, flow := range s.Flows {
		for _, line := range flow.Lines {
			side := "out"
			if line.Inbound() {
				side = "in"
			}
			path, _, _ := strings.Cut(line.Path, "?") // the query is the probe's identity
			fact := Fact{
				"hop": line.Hop, "side": side, "cluster": cmp.Or(line.UpstreamCluster, none), "status": strconv.Itoa(line.ResponseCode),
				"flags": cmp.Or(strings.Join(line.Flags, ","), none), "reason": cmp.Or(line.UpstreamFailure, line.Details, line.TerminationDetails, none),
				"host": line.Authority, "path": path, "sni": line.SNI, "upstream": line.UpstreamHost,
			}
			if !slices.ContainsFunc(facts, func(f Fact) bool {
				return f["hop"] == fact["hop"] && f["side"] == side && f["cluster"] == fact["cluster"] && f["status"] == fact["status"] && f["reason"] == fact["reason"]
			}) {
				facts = append(facts, fact)
			}
		}
	}
	return facts, nil
}

// answers are what clients asked for, and got.
func answers(_ context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, flow := range s.Flows {
		result := flow.Result
		host, port := "", ""
		if target, err := url.Parse(result.Probe.Request.URL); err == nil {
			host, port = cmp.Or(result.Probe.Request.Host, target.Hostname()), cmp.Or(target.Port(), map[string]string{"http": "80", "https": "443"}[target.Scheme])
		}
		if request := result.Probe.Request.Database; request != nil {
			host, port, _ = net.SplitHostPort(request.Address)
		}
		facts = append(facts, Fact{"status": strconv.Itoa(result.Status), "error": result.Err, "host": host, "port": port})
	}
	return facts, nil
}

// peers are the identities as which requests came to applications.
func peers(_ context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, flow := range s.Flows {
		for _, record := range flow.Records {
			facts = append(facts, Fact{"hop": record.Hop, "identity": cmp.Or(strings.Join(record.Peers(), " and "), none)})
		}
	}
	return facts, nil
}

// connections are those that applications, and clients that ask a database, made.
func connections(_ context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, flow := range s.Flows {
		for _, made := range flow.Attempts() {
			_, port, _ := net.SplitHostPort(made.Remote)
			facts = append(facts, Fact{"hop": made.Hop, "remote": made.Remote, "port": port})
		}
	}
	return facts, nil
}

// loginRefused is how databases say so.
var loginRefused = regexp.MustCompile(`(?i)authentication ?fail|auth(entication)? error|AuthenticationFailed|code: 18\b|login refused`)

// loggedErrors are lines by which applications, databases included, say that a login was refused.
func loggedErrors(ctx context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, hop := range s.used() {
		if hop.Container == "" {
			continue
		}
		text, err := s.Log(ctx, hop.Name)
		if err != nil {
			return facts, err
		}
		for line := range strings.Lines(text) {
			if found := loginRefused.FindString(line); found != "" {
				facts = append(facts, Fact{"hop": hop.Name, "text": found})
				break
			}
		}
	}
	return facts, nil
}

// silent are applications that wrote nothing since the check began, although their own sidecars sent probes on to them.
func silent(ctx context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, hop := range s.used() {
		reached := slices.ContainsFunc(s.Flows, func(f evidence.Flow) bool {
			return slices.ContainsFunc(f.At(hop.Name, true), func(l evidence.Line) bool { return l.UpstreamHost != "" })
		})
		if hop.Container == "" || !reached {
			continue
		}
		text, err := s.Log(ctx, hop.Name)
		if err != nil {
			return facts, err
		}
		if strings.TrimSpace(text) == "" {
			facts = append(facts, Fact{"hop": hop.Name, "container": hop.Container})
		}
	}
	return facts, nil
}

// certificates are those that servers presented to clients.
func certificates(_ context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, flow := range s.Flows {
		state := flow.Result.TLS
		if state == nil || len(state.Chain) == 0 {
			continue
		}
		own := state.Chain[0]
		facts = append(facts, Fact{
			"subject": own.Subject, "issuer": own.Issuer, "names": cmp.Or(strings.Join(own.DNSNames, ", "), "no name"), "asked": cmp.Or(state.ServerName, "no name"),
			"self-signed": yes(own.Subject == own.Issuer), "covers": yes(covers(own, state.ServerName)),
			"expired": yes(s.Now.After(own.NotAfter)), "days": fmt.Sprint(int(own.NotAfter.Sub(s.Now) / (24 * time.Hour))),
		})
	}
	return facts, nil
}

func covers(certificate wire.Certificate, name string) bool {
	return slices.ContainsFunc(certificate.DNSNames, func(of string) bool {
		suffix, wild := strings.CutPrefix(of, "*.")
		_, parent, _ := strings.Cut(name, ".")
		return strings.EqualFold(of, name) || wild && strings.EqualFold(suffix, parent)
	})
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// versions are those that VirtualServices have chosen of the services that served a probe, in one fact.
func versions(ctx context.Context, s *Scene) ([]Fact, error) {
	pinned, err := oneVersion(ctx, s)
	var chosen []string
	for _, flow := range s.Flows[:min(len(s.Flows), 1)] {
		for _, record := range flow.Records {
			for _, choice := range pinned {
				service, _, _ := strings.Cut(choice["host"], ".")
				if service == record.Service && record.Version != "" && strings.Contains(choice["subset"], record.Version) {
					chosen = append(chosen, fmt.Sprintf("%s %s (by %s)", service, record.Version, choice["virtual-service"]))
				}
			}
		}
	}
	if len(chosen) == 0 {
		return nil, err
	}
	return []Fact{{"chosen": strings.Join(chosen, ", ")}}, err
}
