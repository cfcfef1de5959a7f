package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// EnterArgument is the hidden word by which a program that embeds meshproof enters a lab's network before it becomes
// another program: `<program> EnterArgument PID DIR COMMAND [ARG...]`, handed to RunEnter by the command package.
const EnterArgument = "__lab-enter"

// Command returns a command that will run in the lab's network, with the host's file system, the lab's DNS, its
// kubeconfig in KUBECONFIG and its kubectl and istioctl in PATH. The caller sets its input and output.
func (l *Lab) Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the running program: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, append([]string{EnterArgument, strconv.Itoa(l.PID), l.Dir, name}, args...)...)
	cmd.Env = l.Environment(os.Environ())
	return cmd, nil
}

// Environment is base with what a program in the lab's network needs, and without proxies, which are not there.
func (l *Lab) Environment(base []string) []string {
	var environment []string
	path := os.Getenv("PATH")
	for _, entry := range base {
		name, _, _ := strings.Cut(entry, "=")
		switch strings.ToUpper(name) {
		case "PATH", "KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY":
		default:
			environment = append(environment, entry)
		}
	}
	programs := append(append([]string(nil), l.Programs...), path)
	return append(environment, "KUBECONFIG="+l.KubeconfigInside, "PATH="+strings.Join(programs, string(filepath.ListSeparator)))
}

// RunEnter enters the network of the lab whose first process is args[0] and whose folder is args[1], and becomes the
// program args[2] with the rest as its arguments. It only returns an error.
func RunEnter(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: PID DIR COMMAND [ARG...]")
	}
	pid, dir, command := args[0], args[1], args[2:]
	// Namespaces belong to threads; exec keeps those of the thread that calls it.
	runtime.LockOSThread()
	network, err := os.Open("/proc/" + pid + "/ns/net")
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotRunning
	}
	if err != nil {
		return fmt.Errorf("open the lab's network: %w", err)
	}
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the lab's network: %w", err)
	}
	// A mount namespace of its own, so that the lab's DNS is this program's and nobody else's.
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cut the mounts off from the host's: %w", err)
	}
	target, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err == nil {
		err = unix.Mount(filepath.Join(dir, "resolv.conf"), target, "", unix.MS_BIND, "")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("use the lab's DNS: %w", err)
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, command, os.Environ())
}
