// Package job runs meshproof in a pod of the cluster that it judges, and brings the results back.
package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/run"
)

// Options are a Job's choices.
type Options struct {
	// Image is the suite's own, as the cluster pulls it, and PullSecret the docker config.json for that; empty when it needs none.
	Image      string
	PullSecret []byte
	// Args are the words after `run`; Input are files for it, by name, which the pod finds in InputDir.
	Args  []string
	Input map[string]string
	// Rules are what the run may do on the cluster.
	Rules []rbacv1.PolicyRule
	// ResultsDir is where the run's results are put.
	ResultsDir string
	// Limit bounds the run, and Timeouts what comes before and after it.
	Limit    time.Duration
	Timeouts mesh.Timeouts
	// Log is written what the run prints.
	Log io.Writer
}

// collectLimit bounds the transfer of the results, and what else is asked of a pod that has them.
const collectLimit = 2 * time.Minute

// grace is how long a run that is told to end may take for its clean-up.
func (o Options) grace() time.Duration { return o.Timeouts.Gone + time.Minute }

// Result is what a Job came to.
type Result struct {
	// Code is the run's exit code.
	Code int
	// Folder holds the run's results; empty when it left none.
	Folder string
	// Namespace is that of the Job.
	Namespace string
}

// Run runs the Job to its end, and removes all that it made, when ctx ends too: the run in the pod is then told to clean up, and
// its results are still collected. A second interrupt gives up at once. Its error is of the environment; verdicts, red ones
// too, are in the results.
func Run(ctx context.Context, client *kube.Client, options Options) (*Result, error) {
	id := run.NewID()
	j := &running{Options: options, client: client, namespace: "meshproof-job-" + id}
	release, err := run.HoldNamespace(ctx, client, j.namespace, j.namespace, options.Timeouts)
	if err != nil {
		return nil, err
	}
	defer release()
	life, abandon := abandonable(ctx)
	defer abandon()
	result, err := j.carryOut(ctx, life)
	if life.Err() != nil {
		return result, fmt.Errorf("abandoned; remove what is left with: meshproof clean (the Job is in namespace %s)", j.namespace)
	}
	return result, errors.Join(err, j.remove(life))
}

// abandonable outlives ctx, until there is an interrupt after the one that ended ctx.
func abandonable(ctx context.Context) (life context.Context, stop func()) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-signals:
			case <-life.Done():
				return
			}
		}
		cancel()
	}()
	return life, func() { signal.Stop(signals); cancel() }
}

// running is a Job that was begun.
type running struct {
	Options
	client    *kube.Client
	namespace string
}

// carryOut installs the Job, follows it and collects what it leaves. ctx ends with an interrupt, life with a second one.
func (j *running) carryOut(ctx, life context.Context) (*Result, error) {
	namespace, err := j.client.Typed.CoreV1().Namespaces().Get(ctx, j.namespace, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("look at the Job's namespace: %w", err)
	}
	objects, err := j.objects(j.namespace, namespace.UID)
	if err != nil {
		return nil, err
	}
	if err := mesh.Install(ctx, j.client, objects); err != nil {
		return nil, fmt.Errorf("install the Job: %w", err)
	}
	pod, err := j.awaitPod(ctx, "to have started", j.Timeouts.Ready, started)
	if err != nil {
		return nil, errors.Join(err, j.client.Complaints(ctx, j.namespace))
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		j.follow(life, pod.GetName())
	}()
	pod, err = j.awaitPod(ctx, "to have ended its run", j.Limit+j.grace(), finished)
	if ctx.Err() != nil {
		pod, err = j.interrupt(life, pod)
	}
	if err != nil {
		return nil, err
	}
	result, err := j.collect(life, pod)
	if err != nil {
		return nil, err
	}
	select {
	case <-logged:
	case <-time.After(drainLimit): // what is missing is in the results
	}
	return result, nil
}

// drainLimit is how long the rest of the log may take, after the pod has ended.
const drainLimit = 5 * time.Second

// interrupt has the run in the pod clean up, and waits until it has. A pod that cannot be asked is deleted, which tells the run
// the same, but leaves no results.
func (j *running) interrupt(life context.Context, pod *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(life, j.grace())
	defer cancel()
	if err := j.ask(ctx, pod.GetName(), "/interrupt"); err != nil {
		deleted := j.client.Typed.CoreV1().Pods(j.namespace).Delete(ctx, pod.GetName(), metav1.DeleteOptions{})
		gone := j.client.Wait(ctx, kube.Selection{Resource: kube.Pods, Namespace: j.namespace, Name: pod.GetName()}, "to be gone", j.grace(), kube.Gone)
		return pod, errors.Join(fmt.Errorf("tell the run to clean up: %w", err), deleted, gone)
	}
	return j.awaitPod(ctx, "to have cleaned up", j.grace(), finished)
}

// awaitPod waits for the Job's only pod.
func (j *running) awaitPod(ctx context.Context, what string, limit time.Duration, condition kube.Condition) (*unstructured.Unstructured, error) {
	last := &unstructured.Unstructured{}
	selection := kube.Selection{Resource: kube.Pods, Namespace: j.namespace, Labels: "job-name=" + objectName}
	err := j.client.Wait(ctx, selection, what, limit, func(objects []*unstructured.Unstructured) (bool, string, error) {
		if len(objects) == 1 {
			last = objects[0]
		}
		return condition(objects)
	})
	return last, err
}

// started says that the run goes on, or has ended.
func started(objects []*unstructured.Unstructured) (bool, string, error) {
	if len(objects) != 1 {
		return false, "the Job has no pod", nil
	}
	phase, _, _ := unstructured.NestedString(objects[0].Object, "status", "phase")
	return slices.Contains([]string{"Running", "Succeeded", "Failed"}, phase), "it is " + phase, nil
}

// finished says that the results can be collected. A pod that ended before that has none.
func finished(objects []*unstructured.Unstructured) (bool, string, error) {
	if len(objects) != 1 {
		return false, "", errors.New("the Job's pod is gone: somebody has deleted it, or the run took longer than its limit")
	}
	if status, _ := kube.StatusCondition(objects[0], "Ready"); status == "True" {
		return true, "", nil
	}
	if code, reason, ended := ending(objects[0]); ended {
		return false, "", fmt.Errorf("the Job's pod ended before its results could be collected (%s, exit %d): remove what the run has left with `meshproof clean`", reason, code)
	}
	return false, "the run goes on", nil
}

// ending is how the pod's container ended.
func ending(pod *unstructured.Unstructured) (code int64, reason string, ended bool) {
	containers, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
	for _, entry := range containers {
		container, _ := entry.(map[string]any)
		state, found, _ := unstructured.NestedMap(container, "state", "terminated")
		if container["name"] == objectName && found {
			code, _, _ = unstructured.NestedInt64(state, "exitCode")
			reason, _, _ = unstructured.NestedString(state, "reason")
			return code, reason, true
		}
	}
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	reason, _, _ = unstructured.NestedString(pod.Object, "status", "reason") // of a pod that was evicted
	return 0, reason, phase == "Failed" || phase == "Succeeded"
}

// remove deletes the namespace with all that is in it, and then what lies outside it: a run that still cleans up needs its rights.
func (j *running) remove(ctx context.Context) error {
	_, err := mesh.Remove(ctx, j.client, []string{j.namespace}, j.Timeouts.Gone+j.grace())
	roles := j.client.Typed.RbacV1()
	return errors.Join(err,
		deleted("ClusterRoleBinding", roles.ClusterRoleBindings().Delete(ctx, j.namespace, metav1.DeleteOptions{})),
		deleted("ClusterRole", roles.ClusterRoles().Delete(ctx, j.namespace, metav1.DeleteOptions{})))
}

// deleted is the error of a deletion, unless there is nothing any more: the cluster removes it with its namespace, too.
func deleted(kind string, err error) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("delete the Job's %s: %w", kind, err)
}
