package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
func us(d float64) string       { return fmt.Sprintf("%.0f µs", d) }

func median(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}

// kills: 100 events a second over one connection.
func (b *bench) kills() {
	const count, rate = 500, 100
	type run struct{ p50, p99, cpu float64 }
	once := func(p *process, name string) run {
		paced(p.address, b.api, name+"w", 50, rate) // warm: connections, caches, heap
		b.api.reset()
		cpu := p.cpu()
		l := paced(p.address, b.api, name, count, rate)
		time.Sleep(100 * time.Millisecond) // what is still written belongs to these events
		used := p.cpu() - cpu
		b.api.reset()
		return run{float64(l.at(0.5).Microseconds()), float64(l.at(0.99).Microseconds()), float64(used.Microseconds()) / count}
	}
	var s, f [3][]float64
	var ratio [3][]float64
	stoop, floor := b.startStoop(""), b.startFloor()
	defer stoop.stop()
	defer floor.stop()
	for i := 0; i < b.runs; i++ {
		x, y := once(stoop, fmt.Sprint("s", i)), once(floor, fmt.Sprint("f", i))
		for k, v := range [][2]float64{{x.p50, y.p50}, {x.p99, y.p99}, {x.cpu, y.cpu}} {
			s[k], f[k], ratio[k] = append(s[k], v[0]), append(f[k], v[1]), append(ratio[k], v[0]/v[1])
		}
	}
	for k, name := range []string{"100 kills a second, one connection: POST to DELETE, p50", "the same, p99", "the same, CPU an event"} {
		goal := "1.0"
		if k == 2 {
			goal = "1.2"
		}
		row(name, us(median(s[k])), us(median(f[k])), fmt.Sprintf("%.2f", median(ratio[k])), "at most "+goal)
	}
}

// burstOfKills: 5,000 kills over 50 connections.
func (b *bench) burstOfKills() {
	var s, f, ratio, memory []float64
	for i := 0; i < b.runs; i++ {
		stoop := b.startStoop("")
		x := burst(stoop.address, b.api, fmt.Sprint("s", i), 5000, 50).Seconds()
		memory = append(memory, stoop.memory("VmHWM"))
		stoop.stop()
		b.api.reset()
		floor := b.startFloor()
		y := burst(floor.address, b.api, fmt.Sprint("f", i), 5000, 50).Seconds()
		floor.stop()
		b.api.reset()
		s, f, ratio = append(s, x), append(f, y), append(ratio, x/y)
	}
	row("burst of 5,000 kills over 50 connections", fmt.Sprintf("%.2f s", median(s)), fmt.Sprintf("%.2f s", median(f)),
		fmt.Sprintf("%.2f", median(ratio)), "at most 1.2")
	row("the same, highest memory", fmt.Sprintf("%.1f MB", median(memory)), "", "", "under 32 MB")
}

// unmatched: 16 connections of wrk.
func (b *bench) unmatched() {
	for _, fresh := range []bool{false, true} {
		var s, f, ratio []float64
		stoop, floor := b.startStoop(""), b.startFloor()
		for i := 0; i < min(b.runs, 3); i++ {
			cost := func(p *process) float64 {
				cpu := p.cpu()
				n := wrk(b.script, p.address, 3, fresh)
				return float64((p.cpu() - cpu).Microseconds()) / float64(n)
			}
			x, y := cost(stoop), cost(floor)
			s, f, ratio = append(s, x), append(f, y), append(ratio, x/y)
		}
		stoop.stop()
		floor.stop()
		name, goal := "an event that matches nothing, 16 connections, CPU", "20 µs and 0.4"
		if fresh {
			name, goal = "the same, each on a new connection", "50 µs and 0.4"
		}
		row(name, fmt.Sprintf("%.1f µs", median(s)), fmt.Sprintf("%.1f µs", median(f)), fmt.Sprintf("%.2f", median(ratio)), goal)
	}
}

// fsyncTime is the disk's own: 4 KiB written over what is there, and fdatasync, at the median.
func fsyncTime(dir string) time.Duration {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	must(err)
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = f.Write(make([]byte, 4<<20))
	must(err)
	must(f.Sync())
	var l latencies
	block := make([]byte, 4096)
	for i := 0; i < 1000; i++ {
		t := time.Now()
		_, err = f.WriteAt(block, int64(i)*4096)
		must(err)
		must(syscall.Fdatasync(int(f.Fd())))
		l = append(l, time.Since(t))
	}
	return l.at(0.5)
}

// accept: matched events one after the other over one connection.
func (b *bench) accept() {
	stoop := b.startStoop("")
	defer stoop.stop()
	closed(stoop.address, "Kept", "warm", 200, 1)
	disk := fsyncTime(b.dir)
	l, _ := closed(stoop.address, "Kept", "one", 2000, 1)
	row("accept of a matched event, one connection, p50", ms(l.at(0.5)), "fdatasync "+ms(disk), "+ "+ms(l.at(0.5)-disk), "fsync + 0.2 ms")
}

// matched: 64 connections.
func (b *bench) matched() {
	stoop := b.startStoop("")
	defer stoop.stop()
	closed(stoop.address, "Kept", "warm", 5000, 64)
	l, whole := spread(stoop.address, "Kept", "paced", 50000, 64, 10000)
	row("matched events kept on disk, 64 connections, 10,000 a second offered", fmt.Sprintf("%.0f a second, p50 %s, p99 %s",
		50000/whole.Seconds(), ms(l.at(0.5)), ms(l.at(0.99))), "", "", "10,000 a second, p99 under 10 ms")
	l, whole = closed(stoop.address, "Kept", "many", 50000, 64)
	row("the same, each connection as fast as it can", fmt.Sprintf("%.0f a second, p99 %s", 50000/whole.Seconds(), ms(l.at(0.99))), "", "", "")
}

// hang: kills while the logs of 32 other pods hang.
func (b *bench) hang() {
	var without, with []float64
	stoop := b.startStoop("")
	defer stoop.stop()
	paced(stoop.address, b.api, "warm", 100, 100)
	for i := 0; i < min(b.runs, 3); i++ {
		b.api.reset()
		without = append(without, float64(paced(stoop.address, b.api, fmt.Sprint("a", i), 500, 100).at(0.99).Microseconds()))
		b.api.reset()
		s := dial(stoop.address)
		for k := 0; k < 32; k++ {
			s.post(eventBody("Hang", fmt.Sprintf("slow-%d-%d", i, k), k))
		}
		s.conn.Close()
		if !b.api.wait(5*time.Second, func() bool { return b.api.logs >= 32 }) {
			fail("hang: %d of 32 logs are being read", b.api.logs)
		}
		with = append(with, float64(paced(stoop.address, b.api, fmt.Sprint("b", i), 500, 100).at(0.99).Microseconds()))
		time.Sleep(6 * time.Second) // the logs end
	}
	row("kills while the logs of 32 other pods hang, p99", us(median(with)), "without: "+us(median(without)),
		fmt.Sprintf("%.2f", median(with)/median(without)), "the same")
}

// memory: idle, after 20,000 events, after a million.
func (b *bench) memory() {
	stoop := b.startStoop("")
	defer stoop.stop()
	time.Sleep(500 * time.Millisecond)
	row("memory, idle", fmt.Sprintf("%.1f MB", stoop.memory("VmRSS")), "", "", "14 MB")
	closed(stoop.address, killRule, "mem", 10000, 16)
	closed(stoop.address, "Nothing", "mem", 10000, 16)
	b.api.wait(60*time.Second, func() bool { return len(b.api.deleted) >= 10000 })
	row("memory, after 20,000 events, half of them kills", fmt.Sprintf("%.1f MB", stoop.memory("VmRSS")), "", "", "24 MB")
	if !b.million {
		return
	}
	closed(stoop.address, "Kept", "mil", 300000, 16)
	before := stoop.memory("VmRSS")
	n := 0
	for n < 700000 {
		n += wrk(b.script, stoop.address, 5, false)
	}
	row(fmt.Sprintf("memory, after %d more, 300,000 of them kept", n+300000), fmt.Sprintf("%.1f MB (%.1f after the kept ones)", stoop.memory("VmRSS"), before), "", "", "flat")
}

func someRules(n int) string {
	var out strings.Builder
	for i := 0; i < n; i++ {
		fmt.Fprintf(&out, "- rule: Rule %d\n  match:\n    rules: [Falco rule %d]\n    priority: \">=Warning\"\n    output_fields: [\"k8s.ns.name=ns-%d\"]\n  actions:\n    - action: Label %d\n      actionner: kubernetes:label\n      parameters: {labels: {suspicious: \"true\"}}\n", i, i, i, i)
	}
	return out.String()
}

// manyRules: loading 10,000 rules, and what a match then costs.
func (b *bench) manyRules() {
	file := filepath.Join(b.dir, "many.yaml")
	must(os.WriteFile(file, []byte(someRules(10000)), 0o600))
	var load []float64
	for i := 0; i < b.runs; i++ {
		t := time.Now()
		out, err := exec.Command(b.stoop, "rules", "check", "-r", file).CombinedOutput()
		if err != nil {
			fail("rules check: %s", out)
		}
		load = append(load, float64(time.Since(t).Milliseconds()))
	}
	row("10,000 rules: the whole of `stoop rules check`", fmt.Sprintf("%.0f ms", median(load)), "", "", "200 ms")
	few, many := b.startStoop(someRules(10)), b.startStoop(someRules(10000))
	defer few.stop()
	defer many.stop()
	var x, y []float64
	for i := 0; i < 3; i++ {
		for p, out := range map[*process]*[]float64{few: &x, many: &y} {
			cpu := p.cpu()
			n := wrk(b.script, p.address, 2, false)
			*out = append(*out, float64((p.cpu()-cpu).Microseconds())/float64(n))
		}
	}
	row("an event that matches nothing, 10,000 rules against 10, CPU", fmt.Sprintf("%.1f µs", median(y)), fmt.Sprintf("10 rules: %.1f µs", median(x)),
		fmt.Sprintf("%.2f", median(y)/median(x)), "at most 2")
}

// startAndSize: from exec to the first 200 of /readyz, and the stripped binary.
func (b *bench) startAndSize() {
	var ready []float64
	for i := 0; i < b.runs; i++ {
		p := b.startStoop("")
		ready = append(ready, float64(p.ready.Microseconds())/1000)
		p.stop()
	}
	row("start to ready", fmt.Sprintf("%.0f ms", median(ready)), "", "", "50 ms")
	stripped := filepath.Join(b.dir, "stripped")
	must(exec.Command("strip", "-o", stripped, b.stoop).Run())
	info, err := os.Stat(stripped)
	must(err)
	row("binary, stripped", fmt.Sprintf("%.0f KiB", float64(info.Size())/1024), "", "", "under 2 MB")
	out, err := exec.Command("sh", "-c", "readelf -d "+stripped+" | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p' | paste -sd' '").Output()
	must(err)
	row("shared libraries", strings.TrimSpace(string(out)), "", "", "listed")
}
