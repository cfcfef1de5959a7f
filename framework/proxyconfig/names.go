package proxyconfig

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Names are what replaces, in a configuration, the names and addresses that differ from run to run though nothing was changed.
// The zero value replaces nothing but the addresses that the control plane allocates.
type Names struct {
	// known are the texts to be replaced, longest first.
	known []name
}

type name struct{ text, instead string }

// Parameter is a value of the run, which is known by its name. Namespace says that it is the name of a namespace; of the others
// only host names and addresses are replaced, because a limit or a time is what should be compared.
type Parameter struct {
	Name, Value string
	Namespace   bool
}

// NewNames returns the names of a run: its parameters, the addresses of the pods and Services in its namespaces, and its
// trust domain. Of two parameters with the same value the first counts.
func NewNames(parameters []Parameter, pods []corev1.Pod, services []corev1.Service, trustDomain string) *Names {
	n := &Names{}
	for _, parameter := range parameters {
		if parameter.Namespace || isHost(parameter.Value) {
			n.add(parameter.Value, "${"+parameter.Name+"}")
		}
	}
	for _, service := range services {
		owner := fmt.Sprintf("service %s.%s", service.Name, n.Replace(service.Namespace))
		for _, address := range append(slices.Clone(service.Spec.ClusterIPs), service.Spec.ClusterIP) {
			if address != corev1.ClusterIPNone {
				n.add(address, "${address of "+owner+"}")
			}
		}
		for _, balancer := range service.Status.LoadBalancer.Ingress {
			n.add(balancer.IP, "${load balancer of "+owner+"}")
			n.add(balancer.Hostname, "${load balancer of "+owner+"}")
		}
	}
	for _, pod := range pods {
		owner := fmt.Sprintf("%s.%s", workloadOf(pod), n.Replace(pod.Namespace))
		n.add(pod.Name, "${pod of "+owner+"}")
		for _, address := range pod.Status.PodIPs {
			n.add(address.IP, "${address of pod "+owner+"}")
		}
	}
	if trustDomain != "" {
		n.add("spiffe://"+trustDomain, "spiffe://${trust domain}")
	}
	return n
}

// Replace returns the text with the names instead of what they stand for. Only whole words are replaced.
func (n *Names) Replace(text string) string {
	var result strings.Builder
	for at := 0; at < len(text); {
		if found, ok := n.at(text, at); ok {
			result.WriteString(found.instead)
			at += len(found.text)
			continue
		}
		result.WriteByte(text[at])
		at++
	}
	return allocated.ReplaceAllLiteralString(result.String(), "${allocated address}")
}

// allocated are the addresses that Istio gives, within its own range, to hosts of ServiceEntries which have none.
var allocated = regexp.MustCompile(`\b240\.240\.\d{1,3}\.\d{1,3}|\b2001:2::[0-9a-f:]*`)

func (n *Names) at(text string, at int) (name, bool) {
	if at > 0 && ofWord(text[at-1]) {
		return name{}, false
	}
	for _, candidate := range n.known {
		end := at + len(candidate.text)
		if strings.HasPrefix(text[at:], candidate.text) && (end == len(text) || !ofWord(text[end])) {
			return candidate, true
		}
	}
	return name{}, false
}

// ofWord tells whether a character is part of a name; a dot parts the labels of a host, and a listener's name has underscores.
func ofWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}

func (n *Names) add(text, instead string) {
	if text == "" || slices.ContainsFunc(n.known, func(o name) bool { return o.text == text }) {
		return
	}
	n.known = append(n.known, name{text, instead})
	slices.SortStableFunc(n.known, func(a, b name) int { return cmp.Compare(len(b.text), len(a.text)) })
}

// hostName is a name of at least two labels, the last of which has letters only: no version, no time, no number.
var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.[a-z]{2,}$`)

func isHost(value string) bool {
	_, err := netip.ParseAddr(value)
	return err == nil || hostName.MatchString(value)
}

// workloadOf is the name of what has made the pod, without the random parts that are added to it.
func workloadOf(pod corev1.Pod) string {
	workload := strings.TrimSuffix(cmp.Or(pod.GenerateName, pod.Name), "-")
	return strings.TrimSuffix(workload, "-"+pod.Labels["pod-template-hash"])
}
