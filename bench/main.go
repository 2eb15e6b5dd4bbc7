// Bench plays Falco and an API server, and measures Stoop against the floor (floor/main.go) in the same run.
//
//	bench [-stoop FILE] [-floor FILE] [-runs N] [-only NAME,...] [-million]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

var cleanup []func()

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
	for _, c := range cleanup {
		c()
	}
	os.Exit(1)
}

type bench struct {
	dir, stoop, floor, script string
	api                       *apiServer
	runs                      int
	million                   bool
	number                    int
}

func (b *bench) startFloor() *process {
	port := freePort()
	return start("floor", b.dir, port, []string{b.floor, fmt.Sprintf("127.0.0.1:%d", port), b.api.url, b.api.ca, token})
}

const rules = `- action: Terminate
  actionner: kubernetes:terminate
  parameters: {grace_period_seconds: 0}
- rule: Kill
  match:
    rules: [Terminal shell in container]
    priority: ">=Notice"
    output_fields: ["k8s.ns.name!=kube-system, k8s.ns.name!=falco"]
  actions: [{action: Terminate}]
- rule: Keep only
  dry_run: true
  match: {rules: [Kept]}
  actions: [{action: Terminate}]
- rule: Read the log
  match: {rules: [Hang]}
  actions: [{action: Log, actionner: "kubernetes:log"}]
`

// startStoop starts Stoop with `extra` rules before the ones above, a fresh store, JSON log to a file.
func (b *bench) startStoop(extra string) *process {
	b.number++
	dir := filepath.Join(b.dir, fmt.Sprint("stoop", b.number))
	must(os.Mkdir(dir, 0o700))
	port := freePort()
	must(os.WriteFile(dir+"/rules.yaml", []byte(extra+rules), 0o600))
	must(os.WriteFile(dir+"/config.yaml", []byte(fmt.Sprintf(`listen_address: 127.0.0.1
listen_port: %d
kubeconfig: %s
log_format: json
rules_files: [%s/rules.yaml]
store: {path: %s/store.db}
`, port, b.api.kubeconfig, dir, dir)), 0o600))
	return start("stoop", dir, port, []string{b.stoop, "server", "-c", dir + "/config.yaml"})
}

func main() {
	b := &bench{}
	only := flag.String("only", "", "names of the measurements to do, comma-separated; empty: all")
	flag.StringVar(&b.stoop, "stoop", "build/stoop", "the binary to measure")
	flag.StringVar(&b.floor, "floor", "build/bench/floor", "the floor's binary")
	flag.IntVar(&b.runs, "runs", 5, "paired runs")
	flag.BoolVar(&b.million, "million", false, "also a million events (2 minutes)")
	flag.Parse()
	var err error
	// Beside the binary, so that the store is on a real disk and not on a tmpfs.
	b.dir, err = os.MkdirTemp(filepath.Dir(b.floor), "run-")
	must(err)
	b.dir, err = filepath.Abs(b.dir)
	must(err)
	cleanup = append(cleanup, func() { os.RemoveAll(b.dir) })
	b.api = startAPIServer(b.dir)
	b.script = filepath.Join(b.dir, "unmatched.lua")
	must(os.WriteFile(b.script, []byte(fmt.Sprintf("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = [==[%s]==]\n",
		eventBody("Nothing of interest", "web-1", 0))), 0o600))

	fmt.Printf("%s, %s\n\n", machine(), time.Now().UTC().Format("2006-01-02"))
	fmt.Println("| work | Stoop | floor | ratio | goal |\n|---|---|---|---|---|")
	for _, m := range []struct {
		name string
		do   func()
	}{{"kills", b.kills}, {"burst", b.burstOfKills}, {"unmatched", b.unmatched}, {"accept", b.accept}, {"matched", b.matched},
		{"hang", b.hang}, {"memory", b.memory}, {"rules", b.manyRules}, {"start", b.startAndSize}} {
		if *only == "" || strings.Contains(","+*only+",", ","+m.name+",") {
			b.api.reset()
			m.do()
		}
	}
	for _, c := range cleanup {
		c()
	}
}

func machine() string {
	model, _ := exec.Command("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc; . /etc/os-release; echo $PRETTY_NAME; uname -r").Output()
	f := strings.Split(strings.TrimSpace(string(model)), "\n")
	for len(f) < 4 {
		f = append(f, "?")
	}
	return fmt.Sprintf("%s, %s cores, %s, Linux %s", strings.TrimSpace(f[0]), f[1], f[2], f[3])
}

func row(work, stoop, floor, ratio, goal string) {
	fmt.Printf("| %s | %s | %s | %s | %s |\n", work, stoop, floor, ratio, goal)
}
