package diagnose

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/evidence"
)

// The most that is read of one container's log.
const (
	mostLines = 5000
	mostBytes = 2 << 20
)

// around is how many lines before and after one that belongs to a probe are kept, and how many of a log without any: its last.
const (
	around = 3
	last   = 50
)

// writeLogs writes, of what the containers of the used hops' pods have logged since the check began, the lines around its probes.
func (s Scene) writeLogs(ctx context.Context, folder string, of scope) error {
	var errs []error
	for _, namespace := range s.Namespaces {
		pods, err := s.Client.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("list the pods of namespace %s: %w", namespace, err))
			continue
		}
		for _, pod := range pods.Items {
			if !of.pod(namespace, pod.Labels) {
				continue
			}
			for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				errs = append(errs, s.writeLog(ctx, folder, pod, container.Name))
			}
		}
	}
	return errors.Join(errs...)
}

func (s Scene) writeLog(ctx context.Context, folder string, pod corev1.Pod, container string) error {
	since := metav1.NewTime(s.Since)
	log, err := s.Client.Typed.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, SinceTime: &since, TailLines: new(int64(mostLines)), LimitBytes: new(int64(mostBytes)), Timestamps: true,
	}).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("read the log of %s in pod %s/%s: %w", container, pod.Namespace, pod.Name, err)
	}
	if len(log) == 0 {
		return nil
	}
	return s.write(filepath.Join(folder, "logs", pod.Name+"-"+container+".log"), []byte(aroundProbes(string(log), s.Flows)))
}

// aroundProbes keeps the lines of a log that belong to the flows, marked by ">", those near to them, and what a proxy says of
// itself, which no probe has; "..." stands for what is left out. Of a log without a line of a flow it keeps the last ones.
func aroundProbes(log string, flows []evidence.Flow) string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	marks := marksOf(flows)
	kept, ours := make([]bool, len(lines)), make([]bool, len(lines))
	found := false
	for index, line := range lines {
		ours[index] = slices.ContainsFunc(marks, func(mark string) bool { return holds(line, mark) })
		kept[index] = kept[index] || ofProxyItself(line)
		if ours[index] {
			found = true
			for near := max(0, index-around); near <= min(len(lines)-1, index+around); near++ {
				kept[near] = true
			}
		}
	}
	if !found {
		for index := max(0, len(lines)-last); index < len(lines); index++ {
			kept[index] = true
		}
	}
	var result strings.Builder
	left := 0
	tell := func() {
		if left > 0 {
			fmt.Fprintf(&result, "  ... %d lines of other requests\n", left)
		}
		left = 0
	}
	for index, line := range lines {
		if !kept[index] {
			left++
			continue
		}
		tell()
		mark := "  "
		if ours[index] {
			mark = "> "
		}
		result.WriteString(mark + line + "\n")
	}
	tell()
	return result.String()
}

// marksOf are the texts by which a line is known to be of one of the flows: the probe's identity, its request IDs, and, of
// connections, the whole line.
func marksOf(flows []evidence.Flow) []string {
	var marks []string
	add := func(mark string) {
		if mark != "" && !slices.Contains(marks, mark) {
			marks = append(marks, mark)
		}
	}
	for _, flow := range flows {
		add(flow.ID())
		add(flow.RequestID)
		for _, line := range flow.Lines {
			add(strings.TrimSpace(line.Raw))
			add(line.RequestID)
		}
		for _, accepted := range flow.Accepted {
			add(accepted.Peer)
		}
	}
	return marks
}

// holds tells whether a line has a mark: the identity of probe 1 is the beginning of that of probe 10.
func holds(line, mark string) bool {
	for {
		_, rest, found := strings.Cut(line, mark)
		if !found {
			return false
		}
		if rest == "" || rest[0] < '0' || rest[0] > '9' {
			return true
		}
		line = rest
	}
}

// ofProxyItself tells whether a line with a time before it is a proxy's own, which Envoy and Istio's agent write with tabs.
func ofProxyItself(line string) bool {
	for _, level := range []string{"\twarn", "\terror", "\tcritical"} {
		if strings.Contains(line, level) {
			return true
		}
	}
	return false
}
