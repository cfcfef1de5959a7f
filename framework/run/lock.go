package run

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/meshproof/meshproof/framework/internal/process"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
)

// leaseName is the Lease that a run holds in the first of its namespaces.
const leaseName = "meshproof-run"

// holderAnnotation names, on each namespace, the process that made it.
const holderAnnotation = "meshproof.dev/holder"

// leaseDuration is how long a run that was killed on another machine keeps its names.
const leaseDuration = 15 * time.Second

// leaseTimes are how long a Lease is good, for how long its renewal is tried, and how often; and how long it may take to get it.
type leaseTimes struct{ duration, deadline, period, got time.Duration }

var usualLease = leaseTimes{duration: leaseDuration, deadline: 10 * time.Second, period: 2 * time.Second}

// holder is who holds a Lease; a process of the same machine can be asked whether it still lives.
type holder struct {
	Run     string `json:"run"`
	Machine string `json:"machine"`
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// ConflictError says that the names of a run are taken; the run touches nothing then.
type ConflictError struct{ message string }

func (e *ConflictError) Error() string { return e.message }

// self is this process, as a holder.
func self(runID string) holder {
	return holder{Run: runID, Machine: machineID(), PID: os.Getpid(), Started: processStart(os.Getpid())}
}

// machineID identifies the machine, and on it the process namespace: a process of another one cannot be asked for.
func machineID() string {
	host, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	sum := sha256.Sum256([]byte(host + string(boot) + space))
	return hex.EncodeToString(sum[:])[:12]
}

// processStart identifies a process beside its number; empty where the system does not tell, and for one that has ended.
func processStart(pid int) string {
	ticks, err := process.StartTicks(pid)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(ticks, 10)
}

// dead tells whether the holder certainly is no more: it is of this machine, and no such process runs.
func (h holder) dead() bool { return h.here() && processStart(h.PID) != h.Started }

// here tells whether this machine knows if the holder lives.
func (h holder) here() bool { return h.Machine == machineID() && h.Started != "" }

// claimNames makes the namespaces the run's own, and holds a Lease in the first of them until release is called. What an
// earlier run left there is removed first. A namespace that is not meshproof's, and names that a living run holds, are
// ConflictErrors.
func claimNames(ctx context.Context, client *kube.Client, runID, patternName string, namespaces []string, timeouts mesh.Timeouts) (release func(), detail string, err error) {
	left, err := leftovers(ctx, client, namespaces)
	if err != nil {
		return nil, "", err
	}
	if len(left) > 0 {
		if _, err := mesh.Remove(ctx, client, left, timeouts.Gone); err != nil {
			return nil, "", fmt.Errorf("remove what an earlier run left: %w", err)
		}
		detail = "removed what an earlier run left in " + strings.Join(left, ", ")
	}
	who, err := json.Marshal(self(runID))
	if err != nil {
		return nil, "", err
	}
	made := 0
	// An interrupt does not cut a request short: whether its namespace has been made would not be known.
	making, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(timeouts.Lease, mesh.DefaultTimeouts.Lease))
	defer cancel()
	for _, name := range namespaces {
		if err = context.Cause(ctx); err != nil {
			break
		}
		labels := map[string]string{mesh.RunLabel: runID, mesh.PatternLabel: patternName, mesh.ManagedByLabel: kube.FieldManager}
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{holderAnnotation: string(who)}}}
		if _, err = client.Typed.CoreV1().Namespaces().Create(making, namespace, metav1.CreateOptions{FieldManager: kube.FieldManager}); err != nil {
			break
		}
		made++
	}
	switch {
	case err == nil:
		times := usualLease
		times.got = timeouts.Lease
		release, err = hold(ctx, client, runID, namespaces[0], times)
	case apierrors.IsAlreadyExists(err):
		err = &ConflictError{fmt.Sprintf("another run has just made namespace %s: use --suffix to keep two runs apart", namespaces[made])}
	default:
		err = fmt.Errorf("make namespace %s: %w", namespaces[made], err)
	}
	if err != nil {
		// Nobody else would remove what was just made.
		_, removeErr := mesh.Remove(context.WithoutCancel(ctx), client, namespaces[:made], timeouts.Gone)
		err = errors.Join(err, removeErr)
	}
	return release, detail, err
}

// leftovers returns those of the namespaces that are there and may be removed, or says who may not be disturbed.
func leftovers(ctx context.Context, client *kube.Client, namespaces []string) ([]string, error) {
	var left []string
	for _, name := range namespaces {
		namespace, err := client.Typed.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at namespace %s: %w", name, err)
		}
		if namespace.Labels[mesh.ManagedByLabel] != kube.FieldManager {
			return nil, &ConflictError{fmt.Sprintf("namespace %s is there and is not meshproof's: choose other names with --suffix or --set", name)}
		}
		if who, held, err := heldBy(ctx, client, name); err != nil {
			return nil, err
		} else if held {
			return nil, &ConflictError{fmt.Sprintf("run %s (process %d) is using namespace %s: wait for it, or use --suffix to keep two runs apart", who.Run, who.PID, name)}
		}
		// A run that has just made its namespaces does not hold its Lease yet.
		var maker holder
		if json.Unmarshal([]byte(namespace.Annotations[holderAnnotation]), &maker) == nil && !maker.dead() && time.Since(namespace.CreationTimestamp.Time) < leaseDuration {
			return nil, &ConflictError{fmt.Sprintf("run %s (process %d) is using namespace %s: wait for it, or use --suffix to keep two runs apart", maker.Run, maker.PID, name)}
		}
		left = append(left, name)
	}
	return left, nil
}

// heldBy returns the living holder of a namespace's Lease.
func heldBy(ctx context.Context, client *kube.Client, namespace string) (holder, bool, error) {
	lease, err := client.Typed.CoordinationV1().Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return holder{}, false, nil
	}
	if err != nil {
		return holder{}, false, fmt.Errorf("look at the Lease of namespace %s: %w", namespace, err)
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return holder{}, false, nil
	}
	var who holder
	if err := json.Unmarshal([]byte(*lease.Spec.HolderIdentity), &who); err != nil {
		return holder{}, false, fmt.Errorf("the Lease %s/%s is held by somebody else (%q)", namespace, leaseName, *lease.Spec.HolderIdentity)
	}
	if who.here() {
		// It may have been kept from renewing its Lease: by an API server that did not answer, or by being stopped.
		return who, !who.dead(), nil
	}
	return who, !expired(lease), nil
}

func expired(lease *coordinationv1.Lease) bool {
	if lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return true
	}
	return time.Since(lease.Spec.RenewTime.Time) > time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second
}

// hold gets the Lease and renews it until release is called, also when an API server that does not answer has kept it from
// being renewed for a while.
func hold(ctx context.Context, client *kube.Client, runID, namespace string, times leaseTimes) (release func(), err error) {
	identity, err := json.Marshal(self(runID))
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(times.got, mesh.DefaultTimeouts.Lease)
	held := make(chan struct{})
	var once sync.Once
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: leaseName, Namespace: namespace},
			Client:     client.Typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: string(identity)},
		},
		LeaseDuration: times.duration, RenewDeadline: times.deadline, RetryPeriod: times.period,
		// A process that lives holds what its Lease says, so it must say when it does not any more.
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { once.Do(func() { close(held) }) },
			// It is got again; in a namespace that somebody removes it cannot be, and the checks there will say so.
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the run's Lease: %w", err)
	}
	// The Lease outlives an interrupt, because the clean-up that follows one still needs the names.
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		for renewing.Err() == nil {
			elector.Run(renewing)
		}
	}()
	select {
	case <-held:
		return stop, nil
	case <-ctx.Done():
		stop()
		return nil, context.Cause(ctx)
	case <-time.After(limit):
		stop()
		return nil, errors.New("the Lease of namespace " + namespace + " could not be got within " + limit.String())
	}
}
