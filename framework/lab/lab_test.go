//go:build lab

package lab_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/internal/labtest"
)

// up starts a lab of the test's own, which ends with the test.
func up(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() { labtest.MustRun(t, "lab", "down", "--name", name) })
	labtest.MustRun(t, "lab", "up", "--name", name)
}

// TestDownLeavesNothing compares the machine before a lab was started and after it was ended.
func TestDownLeavesNothing(t *testing.T) {
	labtest.MustRun(t, "lab", "up", "--name", "trace") // whatever is built is built before the comparison
	labtest.MustRun(t, "lab", "down", "--name", "trace")
	before := takeInventory(t)
	labtest.MustRun(t, "lab", "up", "--name", "trace")
	during := takeInventory(t)
	labtest.MustRun(t, "lab", "down", "--name", "trace")
	after := takeInventory(t)
	for name, list := range before {
		if gone, left := difference(list, after[name]); len(gone)+len(left) > 0 {
			t.Errorf("%s: gone %v, left %v", name, gone, left)
		}
	}
	// The comparison must be able to see a lab; and a lab must not show in the host's network, mounts and files.
	for _, name := range []string{"processes", "control groups", "network namespaces"} {
		if _, new := difference(before[name], during[name]); len(new) == 0 {
			t.Errorf("%s: the running lab is not seen, so this test could not fail", name)
		}
	}
	for _, name := range []string{"mounts", "network devices", "iptables", "packages", "files"} {
		if _, new := difference(before[name], during[name]); len(new) > 0 {
			t.Errorf("%s: the running lab touched the host: %v", name, new)
		}
	}
}

// TestSideBySide: two labs have the same addresses and do not see each other.
func TestSideBySide(t *testing.T) {
	up(t, "left")
	up(t, "right")
	labtest.MustRun(t, "lab", "exec", "--name", "left", "--", "kubectl", "create", "namespace", "only-left")
	left := labtest.MustRun(t, "lab", "exec", "--name", "left", "--", "kubectl", "get", "namespaces", "-o", "name")
	right := labtest.MustRun(t, "lab", "exec", "--name", "right", "--", "kubectl", "get", "namespaces", "-o", "name")
	if !strings.Contains(left.Stdout, "only-left") || strings.Contains(right.Stdout, "only-left") {
		t.Errorf("left: %s\nright: %s", left.Stdout, right.Stdout)
	}
	// A running lab answers at once.
	again := labtest.MustRun(t, "lab", "up", "--name", "left")
	if again.Duration > 2*time.Second {
		t.Errorf("up on a running lab took %s", again.Duration)
	}
	t.Run("versions", func(t *testing.T) { checkVersions(t, "left") })
	t.Run("no route out", func(t *testing.T) { checkRoutes(t, "left") })
	t.Run("load balancer", func(t *testing.T) { checkLoadBalancer(t, "left") })
	t.Run("forwarder", func(t *testing.T) { checkForwarder(t, "left") })
	t.Run("ended part", func(t *testing.T) { checkEndedPart(t, "right") })
}

func checkVersions(t *testing.T, name string) {
	kubectl := labtest.MustRun(t, "lab", "exec", "--name", name, "--", "kubectl", "version")
	istioctl := labtest.MustRun(t, "lab", "exec", "--name", name, "--", "istioctl", "version")
	if strings.Count(kubectl.Stdout, "v1.36.3") != 2 {
		t.Errorf("kubectl version does not say v1.36.3 of client and server:\n%s", kubectl.Stdout)
	}
	if !strings.Contains(istioctl.Stdout, "control plane version: 1.31.0") {
		t.Errorf("istioctl version does not say 1.31.0 of the control plane:\n%s", istioctl.Stdout)
	}
}

func checkRoutes(t *testing.T, name string) {
	routes := labtest.MustRun(t, "lab", "exec", "--name", name, "--", "cat", "/proc/net/route").Stdout
	if !strings.Contains(routes, "lab0") {
		t.Errorf("the lab's own network is not in its routes:\n%s", routes)
	}
	for _, line := range strings.Split(strings.TrimSpace(routes), "\n")[1:] {
		if fields := strings.Fields(line); fields[1] == "00000000" || fields[0] != "lab0" {
			t.Errorf("a route leads out: %s", line)
		}
	}
}

func checkLoadBalancer(t *testing.T, name string) {
	kubectl := func(args ...string) labtest.Result {
		return labtest.MustRun(t, append([]string{"lab", "exec", "--name", name, "--", "kubectl"}, args...)...)
	}
	kubectl("create", "service", "loadbalancer", "balanced", "--tcp=80:80")
	kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "service/balanced", "--timeout=20s")
	ingress := strings.Fields(kubectl("get", "service", "balanced", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip} {.status.loadBalancer.ingress[0].hostname}").Stdout)
	if len(ingress) != 2 || !strings.HasPrefix(ingress[0], "10.244.200.") || ingress[1] != "balanced.default.lb.mesh.lab" {
		t.Fatalf("ingress %v", ingress)
	}
	resolved := labtest.MustRun(t, "lab", "exec", "--name", name, "--", "getent", "hosts", ingress[1])
	if !strings.HasPrefix(resolved.Stdout, ingress[0]+" ") {
		t.Errorf("the name %s leads to %s, not to %s", ingress[1], resolved.Stdout, ingress[0])
	}
}

// checkForwarder: the kubeconfig's server is on 127.0.0.1, and nothing else of the machine listens for it.
func checkForwarder(t *testing.T, name string) {
	l, err := lab.Open(labtest.Options(name))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	sockets, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprintf(":%04X", l.Port)
	if !strings.Contains(string(sockets), "0100007F"+port+" 00000000:0000 0A") {
		t.Errorf("port %d is not listened to on 127.0.0.1 alone", l.Port)
	}
	data, err := os.ReadFile("/proc/net/tcp6")
	if err == nil && strings.Contains(string(data), port+" 00000000000000000000000000000000:0000 0A") {
		t.Errorf("port %d is listened to on an IPv6 address", l.Port)
	}
}

func checkEndedPart(t *testing.T, name string) {
	kill(t, name, "kube-scheduler")
	status := waitFor(t, "the scheduler's end in the status", func() (labtest.Result, bool) {
		status := labtest.Run(t, "lab", "status", "--name", name)
		return status, status.Code == 4
	})
	if !strings.Contains(status.Stdout, "kube-scheduler") || !strings.Contains(status.Stdout, "ENDED: killed by killed") {
		t.Errorf("exit %d\n%s", status.Code, status.Stdout)
	}
}

// TestEndedPartIsNamed: a part that ends during the start is the error, with its status and its log, and nothing is left.
func TestEndedPartIsNamed(t *testing.T) {
	labtest.MustRun(t, "lab", "up", "--name", "broken") // built
	labtest.MustRun(t, "lab", "down", "--name", "broken")
	// The first is waited for by name; nothing waits for the second, whose end would otherwise show as a time-out of istiod.
	for _, part := range []string{"etcd", "kube-controller-manager"} {
		starting := labtest.Start(t, "lab", "up", "--name", "broken")
		waitFor(t, part, func() (int, bool) { return 0, tryKill(t, "broken", part) })
		result := labtest.Finish(t, starting)
		if result.Code != 4 || !strings.Contains(result.Stderr, part+" ended (killed by killed)") {
			t.Errorf("%s: exit %d\n%s", part, result.Code, result.Stderr)
		}
		if pids := processesOf(t, "broken"); len(pids) > 0 {
			t.Errorf("processes are left: %v", pids)
		}
	}
	labtest.MustRun(t, "lab", "down", "--name", "broken")
}

// TestKilledUp: an `up` that is killed leaves nothing running, and the next one starts the lab.
func TestKilledUp(t *testing.T) {
	t.Cleanup(func() { labtest.MustRun(t, "lab", "down", "--name", "killed") })
	starting := labtest.Start(t, "lab", "up", "--name", "killed")
	waitFor(t, "the API server", func() (int, bool) {
		return 0, slices.ContainsFunc(processesOf(t, "killed"), func(pid int) bool { return commandOf(pid) == "kube-apiserver" })
	})
	if err := starting.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	labtest.Finish(t, starting)
	waitFor(t, "the end of all processes", func() (int, bool) { return 0, len(processesOf(t, "killed")) == 0 })
	labtest.MustRun(t, "lab", "up", "--name", "killed")
}

// TestCorruptCache: a program of the cache that has changed is noticed and built again.
func TestCorruptCache(t *testing.T) {
	up(t, "corrupt")
	l, err := lab.Open(labtest.Options("corrupt"))
	if err != nil {
		t.Fatal(err)
	}
	labtest.MustRun(t, "lab", "down", "--name", "corrupt")
	program := filepath.Join(l.Artifacts.CoreDNS, "coredns")
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, program)
	// Same size and time: only the content tells.
	if err := os.Chtimes(program, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	result := labtest.MustRun(t, "lab", "up", "--name", "corrupt")
	if !strings.Contains(result.Stderr, "build CoreDNS") || strings.Contains(result.Stderr, "build Kubernetes") {
		t.Errorf("CoreDNS alone was not built again:\n%s", result.Stderr)
	}
}

// flip changes one byte of a program. The changed copy takes its place, because another lab may be running the original.
func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[4096] ^= 0xff
	if err := os.WriteFile(path+".changed", data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".changed", path); err != nil {
		t.Fatal(err)
	}
}

// TestFailureAtTheEnd: a start that fails after everything else worked (its control socket's path is too long) is undone.
func TestFailureAtTheEnd(t *testing.T) {
	state := filepath.Join(t.TempDir(), strings.Repeat("long", 20))
	result := labtest.Run(t, "lab", "up", "--name", "toolong", "--state-dir", state)
	if result.Code != 4 || !strings.Contains(result.Stderr, "control socket") {
		t.Errorf("exit %d\n%s", result.Code, result.Stderr)
	}
	if pids := processesOf(t, "toolong"); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
}

// waitPeriod is the time between two looks at what cannot be watched.
const waitPeriod = 20 * time.Millisecond

func waitFor[T any](t *testing.T, what string, look func() (T, bool)) T {
	t.Helper()
	deadline := time.After(60 * time.Second)
	ticker := time.NewTicker(waitPeriod)
	defer ticker.Stop()
	for {
		value, done := look()
		if done {
			return value
		}
		select {
		case <-deadline:
			t.Fatalf("waited a minute for %s; last: %v", what, value)
		case <-ticker.C:
		}
	}
}

// processesOf lists the processes of a lab by its control groups.
func processesOf(t *testing.T, name string) []int {
	t.Helper()
	var pids []int
	lists, err := filepath.Glob("/sys/fs/cgroup/*/meshproof-" + name + "/node/cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	unified, err := filepath.Glob("/sys/fs/cgroup/meshproof-" + name + "/node/cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range append(lists, unified...) {
		data, _ := os.ReadFile(list) // the group may go meanwhile
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func commandOf(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	program, _, _ := strings.Cut(string(data), "\x00")
	return filepath.Base(program)
}

func tryKill(t *testing.T, name, program string) bool {
	for _, pid := range processesOf(t, name) {
		if commandOf(pid) == program {
			return syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	return false
}

func kill(t *testing.T, name, program string) {
	t.Helper()
	if !tryKill(t, name, program) {
		t.Fatalf("lab %s has no process %s", name, program)
	}
}
