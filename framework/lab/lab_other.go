//go:build !linux

package lab

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"

	"github.com/meshproof/meshproof/framework/lab/node"
)

// The hidden words of the command line are known everywhere, so that they are refused in one place.
const (
	InitArgument  = "__lab-init"
	EnterArgument = "__lab-enter"
)

func unsupported() error {
	return fmt.Errorf("%w: it needs Linux, and this is %s; use --kubeconfig", ErrUnsupported, runtime.GOOS)
}

// Up is for Linux only.
func Up(context.Context, Options) (*Lab, error) { return nil, unsupported() }

// Open is for Linux only.
func Open(Options) (*Lab, error) { return nil, unsupported() }

// Down is for Linux only.
func Down(context.Context, Options) (bool, error) { return false, unsupported() }

// RunInit is for Linux only.
func RunInit(string) error { return unsupported() }

// RunEnter is for Linux only.
func RunEnter([]string) error { return unsupported() }

// Command is for Linux only.
func (l *Lab) Command(context.Context, string, ...string) (*exec.Cmd, error) {
	return nil, unsupported()
}

// Status is for Linux only.
func (l *Lab) Status(context.Context) (node.Status, error) { return node.Status{}, unsupported() }

// EnsureFixtures is for Linux only.
func (l *Lab) EnsureFixtures(context.Context, Options, []string) error { return unsupported() }

// EnsureSuite is for Linux only.
func (l *Lab) EnsureSuite(context.Context, Options) (string, error) { return "", unsupported() }

// LoadImages is for Linux only.
func (l *Lab) LoadImages(context.Context, Options, string) error { return unsupported() }
