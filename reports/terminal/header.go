package terminal

import (
	"fmt"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// identify takes in what is known of the run and its cluster. The header waits for the cluster, since it should be one
// line; when something else has to be shown before, the cluster gets a line of its own once it is known, and another
// one when more is known of it.
func (p *Printer) identify(e v1.Event) []string {
	if e.Run != nil {
		p.run = *e.Run
	}
	if e.Cluster != nil {
		p.cluster = p.cluster.Overlay(*e.Cluster)
	}
	parts := clusterParts(p.cluster)
	identity := strings.Join(parts, separator)
	if identity == p.identity {
		return nil
	}
	if !p.header {
		return p.headerLines()
	}
	p.identity = identity
	return p.layout("").flow(pad("cluster", labelWidth), parts)
}

// headerLines returns the header when it is not out yet.
func (p *Printer) headerLines() []string {
	if p.header {
		return nil
	}
	p.header = true
	cluster := clusterParts(p.cluster)
	p.identity = strings.Join(cluster, separator)
	name := "meshproof"
	if p.run.Version != "" {
		name += " " + p.run.Version
	}
	parts := []string{oneLine(name)}
	if p.run.ID != "" {
		parts = append(parts, "run "+oneLine(p.run.ID))
	}
	return p.layout("").flow("", append(parts, cluster...))
}

// Identity names the cluster in one line; what is not known of it is left out.
func Identity(c v1.Cluster) string { return strings.Join(clusterParts(c), separator) }

// clusterParts name the cluster so that it cannot be mistaken for another; what is not known is left out.
func clusterParts(c v1.Cluster) []string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, oneLine(fmt.Sprintf(format, value)))
		}
	}
	if c.Name != "" {
		add("%s", fmt.Sprintf("%s %q", c.Provider, c.Name))
	} else if c.Context == "" {
		add("%s", c.Provider)
	}
	add("context %q", c.Context)
	add("%s", c.APIServer)
	add("Kubernetes %s", c.Kubernetes)
	add("%s", meshPart(c.Mesh))
	// The first group of a UID tells clusters apart; the whole one is in the report.
	uid, _, _ := strings.Cut(c.UID, "-")
	add("cluster %s", uid)
	return parts
}

// meshPart is, for example, "Istio 1.31.1 (revision default, Envoy 1.40.0)"; empty for a mesh that is not known.
func meshPart(m v1.Mesh) string {
	name := m.Flavour
	if name == "istio" {
		name = "Istio"
	}
	var details []string
	if m.Revision != "" {
		details = append(details, "revision "+m.Revision)
	}
	if m.Proxy != "" {
		details = append(details, "Envoy "+strings.TrimPrefix(m.Proxy, "Envoy "))
	}
	text := strings.TrimSpace(name + " " + m.Version)
	if len(details) > 0 {
		text = strings.TrimSpace(text + " (" + strings.Join(details, ", ") + ")")
	}
	return text
}
