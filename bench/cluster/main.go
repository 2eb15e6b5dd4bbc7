// Cluster benchmarks what Stoop does on a real Kubernetes (the bundled one) beside what kubectl and client-go do there, in the
// same minutes. It wants the kubeconfig of a cluster that nobody else uses: see ../cluster-run.
//
//	cluster -kubeconfig FILE -kubectl FILE -gateway FILE [-stoop FILE] [-runs N] [-only NAME,...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var cleanup []func()

func end() {
	for i := len(cleanup) - 1; i >= 0; i-- {
		cleanup[i]()
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
	end()
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

type bench struct {
	dir, stoop, kubeconfig, kubectl, gateway string
	runs, number                             int
	ctx                                      context.Context
	config                                   *rest.Config
	client                                   kubernetes.Interface
}

func main() {
	b := &bench{ctx: context.Background()}
	only := flag.String("only", "", "names of the measurements to do, comma-separated; empty: all")
	flag.StringVar(&b.stoop, "stoop", "build/stoop", "the binary to measure")
	flag.StringVar(&b.kubeconfig, "kubeconfig", "", "the cluster's administrator")
	flag.StringVar(&b.kubectl, "kubectl", "kubectl", "the kubectl to compare with")
	flag.StringVar(&b.gateway, "gateway", "versitygw", "the S3 server")
	flag.IntVar(&b.runs, "runs", 3, "paired runs")
	flag.Parse()
	// Beside the binary, so that artifacts are on a real disk and not on a tmpfs.
	dir, err := os.MkdirTemp("build/bench", "cluster-")
	must(err)
	b.dir, err = filepath.Abs(dir)
	must(err)
	cleanup = append(cleanup, func() { os.RemoveAll(b.dir) })
	// A copy, so that a build under way meanwhile changes nothing.
	must(exec.Command("cp", b.stoop, filepath.Join(b.dir, "stoop")).Run())
	b.stoop = filepath.Join(b.dir, "stoop")
	b.config, err = clientcmd.BuildConfigFromFlags("", b.kubeconfig)
	must(err)
	b.config.QPS = -1 // no throttle of its own
	b.client, err = kubernetes.NewForConfig(b.config)
	must(err)
	b.makeNamespace()

	fmt.Printf("%s, %s\n\n", machine(), time.Now().UTC().Format("2006-01-02"))
	fmt.Println("| work | Stoop | beside it | ratio | goal |\n|---|---|---|---|---|")
	for _, m := range []struct {
		name string
		do   func()
	}{{"exec", b.execs}, {"drain", b.drains}, {"download", b.downloads}, {"log", b.logs}, {"captures", b.captures}} {
		if *only == "" || strings.Contains(","+*only+",", ","+m.name+",") {
			m.do()
		}
	}
	end()
}

func machine() string {
	out, _ := exec.Command("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc; . /etc/os-release; echo $PRETTY_NAME; uname -r").Output()
	f := append(strings.Split(strings.TrimSpace(string(out)), "\n"), "?", "?", "?", "?")
	return fmt.Sprintf("%s, %s cores, %s, Linux %s", strings.TrimSpace(f[0]), f[1], f[2], f[3])
}

func row(work, stoop, other, ratio, goal string) {
	fmt.Printf("| %s | %s | %s | %s | %s |\n", work, stoop, other, ratio, goal)
}

// quantile sorts.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		fail("nothing was measured")
	}
	sort.Float64s(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

func median(v []float64) float64 { return quantile(v, 0.5) }
