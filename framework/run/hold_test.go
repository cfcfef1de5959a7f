package run

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// TestHoldOutlastsAnAPIServerThatDoesNotAnswer: the Lease is renewed again as soon as it can be, and given up at the end.
func TestHoldOutlastsAnAPIServerThatDoesNotAnswer(t *testing.T) {
	client, typed := clusterOf(t)
	var silent atomic.Bool
	typed.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return silent.Load(), nil, errRefused
	})
	times := leaseTimes{duration: 2 * time.Second, deadline: 300 * time.Millisecond, period: 50 * time.Millisecond}
	release, err := hold(t.Context(), client, "r1", "shop", times)
	if err != nil {
		t.Fatal(err)
	}
	renewed := func() time.Time {
		t.Helper()
		lease, err := typed.CoordinationV1().Leases("shop").Get(t.Context(), leaseName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return lease.Spec.RenewTime.Time
	}
	silent.Store(true)
	<-time.After(3 * times.deadline) // longer than its renewal is tried for
	last := renewed()
	silent.Store(false)
	within(t, "the Lease to be renewed again", func() bool { return renewed().After(last) })
	release()
	within(t, "the Lease to be given up", func() bool {
		_, held, err := heldBy(t.Context(), client, "shop")
		return err == nil && !held
	})
}

// within waits a moment for a condition.
func within(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestHoldEndsWithItsContext(t *testing.T) {
	client, typed := clusterOf(t)
	refuse(typed, "create", "leases", "")
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if _, err := hold(ctx, client, "r1", "shop", usualLease); !errors.Is(err, interrupted) {
		t.Errorf("error %v", err)
	}
}
