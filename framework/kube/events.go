package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// complaintsTimeout bounds the reading of events, which only explains an error that is there already.
	complaintsTimeout = 5 * time.Second
	// mostComplaints is how many of a namespace's warnings are told.
	mostComplaints = 5
)

// Complaints is an error that tells the latest warnings of a namespace, for the error of a wait that ran out; nil when
// there are none. It reads them also when ctx has ended.
func (c *Client) Complaints(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), complaintsTimeout)
	defer cancel()
	events, err := c.Typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return fmt.Errorf("read the events of namespace %s: %w", namespace, err)
	}
	var lines []string
	for _, event := range events.Items {
		line := fmt.Sprintf("%s %s: %s: %s", event.InvolvedObject.Kind, event.InvolvedObject.Name, event.Reason, event.Message)
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("namespace %s complains: %s", namespace, strings.Join(lines[max(0, len(lines)-mostComplaints):], "; "))
}
