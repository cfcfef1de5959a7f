// Package reproduce writes what a person needs to see a red check again without meshproof: the manifests as they were when the
// check ended, and a short script of kubectl, curl, openssl and python. No secret value gets into it: the script makes its own.
package reproduce

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/traffic"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Names of the files.
const (
	Manifests = "manifests.yaml"
	// First are the objects that the cluster must have before the others can be made: it decides values that those need.
	First  = "first.yaml"
	Script = "reproduce.sh"
)

// Case is a red check.
type Case struct {
	// Pattern, Alias and Text name the claim, Saw is what was measured.
	Pattern, Alias, Text, Saw string
	// Objects are those that were installed when the check ended; Namespaces are the pattern's own.
	Objects    []*unstructured.Unstructured
	Namespaces []string
	// Parameters are those whose values must not be written, or are another time others.
	Parameters []Parameter
	// RouterCA are the certificate authorities of the cluster's router, in PEM; empty when it has none of its own.
	RouterCA string
	// Probe is the one that shows the failure, From the agent that sent it; nil means whoever runs the script.
	Probe traffic.Probe
	From  *Agent
	// Hops are those whose records show it, the one that the verdict is about first.
	Hops []Hop
	// Promise is what the failure looks like.
	Promise Promise
	// Redactor removes the secrets that it knows, and what looks like one.
	Redactor *v1.Redactor
}

// Parameter is a value that the manifests have. One of Secret, Certificate and Observed is set.
type Parameter struct {
	Name, Value string
	// Secret is made afresh by the script: a private key in PEM in base64 as such, anything else as random letters.
	Secret bool
	// Certificate, in PEM in base64, is made afresh with the script's own keys.
	Certificate bool
	// Observed is where the cluster tells the value.
	Observed *Observed
}

// Observed is a value that the cluster decides: at the first of these places, in kubectl's jsonpath, of the object, that has one.
type Observed struct {
	Resource, Namespace, Name string
	Paths                     []string
	// Address says that the address of what is there is wanted, of a name the first that it has.
	Address bool
}

// Agent is a vantage point in the cluster.
type Agent struct {
	Namespace, Selector string
	Port                int
}

// Hop is a workload with the container whose log tells of the probe. ByProbe says that its lines have the probe's identity, which
// those of connections have not.
type Hop struct {
	Name, Namespace, Selector, Container string
	ByProbe                              bool
}

// Promise is what shows the failure. One of Text, Absent, Answer and Status counts.
type Promise struct {
	// Hop is the position of the hop in Case.Hops whose log has Text, or, with Absent, nothing of the probe.
	Hop    int
	Text   string
	Absent bool
	// Answer is a text that the client gets, in whatever case; Status is what it gets otherwise, 0 for no answer.
	Answer string
	Status int
}

// AtHop tells whether a hop's log shows it.
func (p Promise) AtHop() bool { return p.Text != "" || p.Absent }

// Write writes the files into a folder, which it makes.
func Write(folder string, c Case) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the reproducer: %w", err)
	}
	made, err := newMaking(c)
	if err != nil {
		return fmt.Errorf("make the reproducer: %w", err)
	}
	var errs []error
	write := func(name, content string, mode os.FileMode) {
		path := filepath.Join(folder, name)
		if errs = append(errs, os.WriteFile(path, []byte(content), mode)); mode != 0o644 {
			errs = append(errs, os.Chmod(path, mode))
		}
	}
	write(Manifests, made.manifests, 0o644)
	if made.first != "" {
		write(First, made.first, 0o644)
	}
	write(Script, c.Redactor.String(made.script), 0o755)
	return errors.Join(errs...)
}
