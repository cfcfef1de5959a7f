package diagnose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// certificate is one of a chain.
type certificate struct {
	Subject   string   `json:"subject"`
	Issuer    string   `json:"issuer"`
	Names     []string `json:"names,omitempty"`
	Authority bool     `json:"authority,omitempty"`
	NotBefore string   `json:"notBefore,omitempty"`
	NotAfter  string   `json:"notAfter"`
	// DaysLeft is in whole days, below zero for one that has expired.
	DaysLeft int  `json:"daysLeft"`
	Expired  bool `json:"expired,omitempty"`
}

// held is a chain, or authorities, that a proxy has.
type held struct {
	Hop   string `json:"hop"`
	Proxy string `json:"proxy"`
	// Secret is Envoy's name for it; Kind says whether it is presented, or what peers are checked against.
	Secret   string        `json:"secret"`
	Kind     string        `json:"kind"`
	Problem  string        `json:"problem,omitempty"`
	Rejected string        `json:"rejected,omitempty"`
	Chain    []certificate `json:"chain,omitempty"`
}

// presented is a chain that a client saw.
type presented struct {
	Probe string `json:"probe"`
	// Asked is the server name that was asked for.
	Asked   string        `json:"asked,omitempty"`
	Version string        `json:"version"`
	Chain   []certificate `json:"chain"`
}

// writeCertificates writes the chains that the proxies of the used hops have, with their expiry, and those that servers presented
// to the clients of the flows. Keys are never read.
func (s Scene) writeCertificates(ctx context.Context, folder string) error {
	var content struct {
		Hops   []held      `json:"hops"`
		Probes []presented `json:"probes,omitempty"`
	}
	now := time.Now()
	var errs []error
	for _, proxy := range s.Proxies {
		secrets, err := proxy.Secrets(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, secret := range secrets {
			chain := held{Hop: proxy.Hop, Proxy: proxy.String(), Secret: secret.Name, Kind: string(secret.Kind), Problem: secret.Problem, Rejected: secret.Rejected}
			for _, one := range secret.Certificates {
				chain.Chain = append(chain.Chain, described(one, now))
			}
			content.Hops = append(content.Hops, chain)
		}
	}
	content.Probes = presentedTo(s.Flows, now)
	data, err := yaml.Marshal(content)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, s.write(filepath.Join(folder, "certificates.yaml"), data))...)
}

func described(c envoy.Certificate, now time.Time) certificate {
	names := slices.Concat(c.DNS, c.URIs)
	for _, address := range c.IPs {
		names = append(names, address.String())
	}
	result := valid(c.NotAfter, now)
	result.Subject, result.Issuer, result.Names, result.Authority, result.NotBefore = cmp.Or(c.Subject, "none"), c.Issuer, names, c.CA, stamp(c.NotBefore)
	return result
}

// valid is a certificate of which only the end is known.
func valid(until, now time.Time) certificate {
	left := until.Sub(now)
	days := int(left / (24 * time.Hour))
	if left < 0 {
		days--
	}
	return certificate{NotAfter: stamp(until), DaysLeft: days, Expired: left < 0}
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// presentedTo are the chains that clients saw, each once.
func presentedTo(flows []evidence.Flow, now time.Time) []presented {
	var all []presented
	seen := map[string]bool{}
	for _, flow := range flows {
		state := flow.Result.TLS
		if state == nil || len(state.Chain) == 0 {
			continue
		}
		if key := fmt.Sprint(state.ServerName, state.Chain[0].SHA256); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		one := presented{Probe: flow.ID(), Asked: state.ServerName, Version: state.Version}
		for _, c := range state.Chain {
			described := valid(c.NotAfter, now)
			described.Subject, described.Issuer, described.Names = c.Subject, c.Issuer, c.DNSNames
			one.Chain = append(one.Chain, described)
		}
		all = append(all, one)
	}
	return all
}
