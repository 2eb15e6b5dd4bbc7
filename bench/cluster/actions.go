package main

import (
	"bytes"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
func ms(v float64) string                  { return fmt.Sprintf("%.1f ms", v) }

// clientExec runs `sh -c true` over client-go's WebSocket; a connection of its own each time, as kubectl's. kubectl
// reads the pod first.
func (b *bench) clientExec(pod string, read bool) time.Duration {
	began := time.Now()
	if read {
		_, err := b.client.CoreV1().Pods(namespace).Get(b.ctx, pod, meta.GetOptions{})
		must(err)
	}
	request := b.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&v1.PodExecOptions{Container: "web", Command: []string{"sh", "-c", "true"}, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(b.config, "GET", request.URL().String())
	must(err)
	var out, errors bytes.Buffer
	must(executor.StreamWithContext(b.ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &errors}))
	return time.Since(began)
}

// execs: `true` in a container, from the event to the result, in turn with client-go.
func (b *bench) execs() {
	const count = 150
	b.pod("shell", "exec sleep 100000")
	b.waitPhase("shell", v1.PodRunning)
	s := b.startStoop("")
	defer s.stop()
	var stoop, client, kubectl []float64
	for i := 0; i < count+5; i++ {
		began := s.post(s.event("Exec", namespace, "shell", nil))
		mine := s.success("action", 30*time.Second).at.Sub(began)
		bare, whole := b.clientExec("shell", false), b.clientExec("shell", true)
		if i >= 5 { // the first ones warm up
			stoop, client = append(stoop, milliseconds(mine)), append(client, milliseconds(bare))
			kubectl = append(kubectl, milliseconds(whole))
		}
	}
	for _, q := range []struct {
		name, goal string
		at         float64
	}{{"exec of `true`: POST to result, p50", "at most 1.0", 0.5}, {"the same, p90", "", 0.9}} {
		x, y, z := quantile(stoop, q.at), quantile(client, q.at), quantile(kubectl, q.at)
		row(q.name, ms(x), "client-go's exec alone "+ms(y), fmt.Sprintf("%.2f", x/y), "")
		row(q.name, ms(x), "client-go as kubectl: the pod, then exec "+ms(z), fmt.Sprintf("%.2f", x/z), q.goal)
	}
	b.remove("shell")
}

// drains: 500 pods of a node without a kubelet, in turn with kubectl.
func (b *bench) drains() {
	const count = 500
	s := b.startStoop("")
	defer s.stop()
	var stoop, kubectl, ratio []float64
	furnish := func(name string) {
		b.paperNode(name)
		b.paperPods(name, name, count)
	}
	empty := func(name string) {
		if n := b.podsOf(name); n > 0 {
			fail("%d pods are left on %s", n, name)
		}
		b.removeNode(name)
	}
	for i := 0; i < b.runs; i++ {
		name := fmt.Sprint("paper-s", i)
		furnish(name)
		began := s.post(s.event("Drain", namespace, name+"-0", map[string]any{"k8s.node.name": name}))
		x := s.success("action", 120*time.Second).at.Sub(began).Seconds()
		empty(name)
		name = fmt.Sprint("paper-k", i)
		furnish(name)
		y := b.runKubectl(nil, "drain", name, "--force", "--grace-period=0", "--ignore-daemonsets", "--timeout=120s").Seconds()
		empty(name)
		say("drain, run %d: Stoop %.2f s, kubectl %.2f s", i+1, x, y)
		stoop, kubectl, ratio = append(stoop, x), append(kubectl, y), append(ratio, x/y)
	}
	row("drain of 500 pods", fmt.Sprintf("%.2f s", median(stoop)), fmt.Sprintf("kubectl %.2f s", median(kubectl)), fmt.Sprintf("%.2f", median(ratio)), "at most 1.0")
	row("the same, highest memory", fmt.Sprintf("%.1f MB", s.peak()), "", "", "under 32 MB")
}

const (
	captureSeconds = 90
	capturePods    = 50
)

// kills deletes pods of a paper node, 25 a second by Stoop and 25 by client-go in between: from POST to result, and the call alone.
func (b *bench) kills(s *stoop, node, name string, count int) (stoop, client []float64) {
	b.paperPods(node, name, 2*count)
	zero := int64(0)
	began := time.Now()
	for i := 0; i < count; i++ {
		time.Sleep(time.Until(began.Add(time.Duration(2*i) * 20 * time.Millisecond)))
		posted := s.post(s.event("Kill", namespace, fmt.Sprintf("%s-%d", name, 2*i), nil))
		stoop = append(stoop, milliseconds(s.success("action", 30*time.Second).at.Sub(posted)))
		time.Sleep(time.Until(began.Add(time.Duration(2*i+1) * 20 * time.Millisecond)))
		called := time.Now()
		must(b.client.CoreV1().Pods(namespace).Delete(b.ctx, fmt.Sprintf("%s-%d", name, 2*i+1), meta.DeleteOptions{GracePeriodSeconds: &zero}))
		client = append(client, milliseconds(time.Since(called)))
	}
	return
}

// captures: kills while 50 captures run on the real node, and without them.
func (b *bench) captures() {
	const count = 300
	parallel(4, capturePods, func(i int) { b.pod(fmt.Sprint("seen-", i), "exec ping -i 0.1 127.0.0.1 >/dev/null") })
	for i := 0; i < capturePods; i++ {
		b.waitPhase(fmt.Sprint("seen-", i), v1.PodRunning)
	}
	b.paperNode("paper")
	s := b.startStoop(fmt.Sprintf("limits: {long_actions: %d}\n", capturePods))
	defer s.stop()
	b.kills(s, "paper", "warm", 50)
	without, withoutClient := b.kills(s, "paper", "a", count)

	began := time.Now()
	for i := 0; i < capturePods; i++ {
		s.post(s.event("Capture", namespace, fmt.Sprint("seen-", i), nil))
	}
	capturing := func() int {
		list, err := b.client.CoreV1().Pods(namespace).List(b.ctx, meta.ListOptions{FieldSelector: "spec.nodeName!=paper"})
		must(err)
		n := 0
		for _, pod := range list.Items {
			for _, c := range pod.Status.EphemeralContainerStatuses {
				if c.State.Running != nil {
					n++
				}
			}
		}
		return n
	}
	wait("50 captures run", 85*time.Second, func() bool { return capturing() == capturePods })
	say("captures: all run after %.1f s", time.Since(began).Seconds())
	with, withClient := b.kills(s, "paper", "b", count)
	if n := capturing(); n != capturePods {
		fail("at the end of the kills, only %d captures run", n)
	}
	for i := 0; i < capturePods; i++ {
		s.success("output", 120*time.Second)
	}
	for _, q := range []struct {
		name string
		at   float64
	}{{"p99", 0.99}, {"p50", 0.5}} {
		row("kills, 25 a second, while 50 captures run: POST to result, "+q.name, ms(quantile(with, q.at)), "without: "+ms(quantile(without, q.at)),
			fmt.Sprintf("%.2f", quantile(with, q.at)/quantile(without, q.at)), map[bool]string{true: "the same"}[q.at > 0.9])
		row("client-go's DELETE in the same minutes, "+q.name, "", fmt.Sprintf("with: %s, without: %s", ms(quantile(withClient, q.at)), ms(quantile(withoutClient, q.at))),
			fmt.Sprintf("%.2f", quantile(withClient, q.at)/quantile(withoutClient, q.at)), "")
	}
	row("highest memory of Stoop with 50 captures", fmt.Sprintf("%.1f MB", s.peak()), "", "", "under 32 MB")
}
