package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const namespace = "bench"

func wait(what string, limit time.Duration, done func() bool) {
	for until := time.Now().Add(limit); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) {
			fail("not within %s: %s", limit, what)
		}
	}
}

func parallel(n, count int, work func(int)) {
	var group sync.WaitGroup
	for w := 0; w < n; w++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := w; i < count; i += n {
				work(i)
			}
		}()
	}
	group.Wait()
}

func (b *bench) makeNamespace() {
	_, err := b.client.CoreV1().Namespaces().Create(b.ctx, &v1.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}}, meta.CreateOptions{})
	must(err)
	wait("the namespace's service account", 30*time.Second, func() bool {
		_, err := b.client.CoreV1().ServiceAccounts(namespace).Get(b.ctx, "default", meta.GetOptions{})
		return err == nil
	})
}

// pod makes a real one that runs a shell's command.
func (b *bench) pod(name, command string) {
	grace, no := int64(0), false
	_, err := b.client.CoreV1().Pods(namespace).Create(b.ctx, &v1.Pod{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: v1.PodSpec{
		RestartPolicy: v1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: &no,
		Containers: []v1.Container{{Name: "web", Image: "stoop.test/busybox:1", ImagePullPolicy: v1.PullIfNotPresent,
			Command: []string{"/bin/sh", "-c", command}}}}}, meta.CreateOptions{})
	must(err)
}

func (b *bench) waitPhase(name string, phase v1.PodPhase) {
	wait(fmt.Sprintf("pod %s is %s", name, phase), 120*time.Second, func() bool {
		pod, err := b.client.CoreV1().Pods(namespace).Get(b.ctx, name, meta.GetOptions{})
		must(err)
		return pod.Status.Phase == phase
	})
}

func (b *bench) remove(name string) {
	now := int64(0)
	must(b.client.CoreV1().Pods(namespace).Delete(b.ctx, name, meta.DeleteOptions{GracePeriodSeconds: &now}))
}

// paperNode makes a node without a kubelet.
func (b *bench) paperNode(name string) {
	_, err := b.client.CoreV1().Nodes().Create(b.ctx, &v1.Node{ObjectMeta: meta.ObjectMeta{Name: name},
		Spec: v1.NodeSpec{Taints: []v1.Taint{{Key: "stoop.test/paper", Effect: v1.TaintEffectNoSchedule}}}}, meta.CreateOptions{})
	must(err)
	room := v1.ResourceList{"cpu": resource.MustParse("64"), "memory": resource.MustParse("256Gi"), "pods": resource.MustParse("10000")}
	patch, err := json.Marshal(map[string]any{"status": v1.NodeStatus{Capacity: room, Allocatable: room, Conditions: []v1.NodeCondition{{
		Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "Paper", LastHeartbeatTime: meta.Now(), LastTransitionTime: meta.Now()}}}})
	must(err)
	_, err = b.client.CoreV1().Nodes().Patch(b.ctx, name, types.MergePatchType, patch, meta.PatchOptions{}, "status")
	must(err)
	wait("the paper node is ready for pods", 30*time.Second, func() bool {
		node, err := b.client.CoreV1().Nodes().Get(b.ctx, name, meta.GetOptions{})
		must(err)
		return len(node.Spec.Taints) == 1
	})
}

func (b *bench) removeNode(name string) {
	must(b.client.CoreV1().Nodes().Delete(b.ctx, name, meta.DeleteOptions{}))
}

// paperPods makes `count` pods PREFIX-0, ... on a paper node, and sets them Running and Ready as its kubelet would.
func (b *bench) paperPods(node, prefix string, count int) {
	patch := []byte(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
	pods, no := b.client.CoreV1().Pods(namespace), false
	parallel(8, count, func(i int) {
		name := fmt.Sprintf("%s-%d", prefix, i)
		_, err := pods.Create(b.ctx, &v1.Pod{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: v1.PodSpec{NodeName: node,
			AutomountServiceAccountToken: &no, Containers: []v1.Container{{Name: "web", Image: "stoop.test/busybox:1"}}}}, meta.CreateOptions{})
		must(err)
		_, err = pods.Patch(b.ctx, name, types.MergePatchType, patch, meta.PatchOptions{}, "status")
		must(err)
	})
}

func (b *bench) podsOf(node string) int {
	list, err := b.client.CoreV1().Pods(namespace).List(b.ctx, meta.ListOptions{FieldSelector: "spec.nodeName=" + node})
	must(err)
	return len(list.Items)
}

// runKubectl returns how long it took; its standard output goes to `out`.
func (b *bench) runKubectl(out io.Writer, args ...string) time.Duration {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.kubectl, append([]string{"--kubeconfig", b.kubeconfig}, args...)...)
	errors, err := os.CreateTemp(b.dir, "kubectl-")
	must(err)
	defer errors.Close()
	defer os.Remove(errors.Name())
	cmd.Stdout, cmd.Stderr = out, errors
	began := time.Now()
	err = cmd.Run()
	took := time.Since(began)
	if err != nil {
		text, _ := os.ReadFile(errors.Name())
		fail("kubectl %v: %v\n%s", args, err, text)
	}
	return took
}
