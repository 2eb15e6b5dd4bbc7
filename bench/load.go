package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// eventBody is a Falco event as the official image sends it.
func eventBody(rule, pod string, n int) string {
	return fmt.Sprintf(`{"hostname":"node-3","output":"2026-07-10T17:12:01.152497084+0000: Notice A shell was spawned in a container with an attached terminal | evt_type=execve user=root user_uid=0 user_loginuid=-1 process=sh proc_exepath=/bin/busybox parent=systemd command=sh -lc echo terminal=34816 exe_flags=EXE_WRITABLE|EXE_LOWER_LAYER container_id=fa2df48fba46 container_name=web container_image_repository=alpine container_image_tag=3.20 k8s_pod_name=%[2]s k8s_ns_name=bench","output_fields":{"container.id":"fa2df48fba46","container.image.repository":"alpine","container.image.tag":"3.20","container.name":"web","evt.arg.flags":"EXE_WRITABLE|EXE_LOWER_LAYER","evt.time.iso8601":%[3]d,"evt.type":"execve","k8s.ns.name":"bench","k8s.pod.name":"%[2]s","k8s.pod.uid":"3f0c7a4e-3d0e-4a53-9d7e-2f2a6f1b8c11","proc.cmdline":"sh -lc echo","proc.exepath":"/bin/busybox","proc.name":"sh","proc.pname":null,"proc.tty":34816,"user.loginuid":-1,"user.name":"root","user.uid":0},"priority":"Notice","rule":"%[1]s","source":"syscall","tags":["T1059","container","maturity_stable","mitre_execution","shell"],"time":"2026-07-10T17:12:01.152497084Z"}`,
		rule, pod, 1783703521152497084+n)
}

const killRule = "Terminal shell in container"

func request(body string) []byte {
	return []byte(fmt.Sprintf("POST / HTTP/1.1\r\nHost: stoop\r\nUser-Agent: falcosecurity/falco\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

// sender is one kept connection, as Falco's: it waits for each answer before the next event.
type sender struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(address string) *sender {
	conn, err := net.Dial("tcp", address)
	must(err)
	return &sender{conn, bufio.NewReader(conn)}
}

func (s *sender) post(body string) int {
	_, err := s.conn.Write(request(body))
	must(err)
	line, err := s.reader.ReadSlice('\n')
	must(err)
	status, _ := strconv.Atoi(string(line[9:12]))
	length := 0
	for {
		line, err = s.reader.ReadSlice('\n')
		must(err)
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "content-length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	_, err = io.CopyN(io.Discard, s.reader, int64(length))
	must(err)
	return status
}

type latencies []time.Duration

func (l latencies) at(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sort.Slice(l, func(i, j int) bool { return l[i] < l[j] })
	i := int(q * float64(len(l)))
	if i >= len(l) {
		i = len(l) - 1
	}
	return l[i]
}

// paced posts `count` kills at `rate` a second over one connection and returns from each POST's start to its DELETE.
func paced(address string, api *apiServer, name string, count, rate int) latencies {
	s := dial(address)
	defer s.conn.Close()
	posted := make([]time.Time, count)
	begin := time.Now()
	for i := range posted {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		posted[i] = time.Now()
		if status := s.post(eventBody(killRule, fmt.Sprintf("%s-%d", name, i), i)); status != 200 {
			fail("%s: event %d was answered %d", name, i, status)
		}
	}
	if !api.wait(30*time.Second, func() bool { return len(api.deleted) >= count }) {
		fail("%s: %d of %d pods were deleted", name, len(api.deleted), count)
	}
	out := make(latencies, count)
	for i := range out {
		out[i] = api.deleted[podPath(fmt.Sprintf("%s-%d", name, i))].Sub(posted[i])
	}
	return out
}

// burst posts `count` kills as fast as they are taken and returns the time until the last DELETE.
func burst(address string, api *apiServer, name string, count, connections int) time.Duration {
	begin := time.Now()
	parallel(connections, func(c int) {
		s := dial(address)
		defer s.conn.Close()
		for i := c; i < count; i += connections {
			if status := s.post(eventBody(killRule, fmt.Sprintf("%s-%d", name, i), i)); status != 200 {
				fail("%s: event %d was answered %d", name, i, status)
			}
		}
	})
	if !api.wait(60*time.Second, func() bool { return len(api.deleted) >= count }) {
		fail("%s: %d of %d pods were deleted", name, len(api.deleted), count)
	}
	last := begin
	for _, t := range api.deleted {
		if t.After(last) {
			last = t
		}
	}
	return last.Sub(begin)
}

// closed posts `count` events of a rule back to back over each connection and returns each answer's time and the whole.
func closed(address, rule, name string, count, connections int) (latencies, time.Duration) {
	all := make([]latencies, connections)
	begin := time.Now()
	parallel(connections, func(c int) {
		s := dial(address)
		defer s.conn.Close()
		for i := c; i < count; i += connections {
			body := eventBody(rule, fmt.Sprintf("%s-%d", name, i), i)
			t := time.Now()
			if status := s.post(body); status != 200 {
				fail("%s: event %d was answered %d", name, i, status)
			}
			all[c] = append(all[c], time.Since(t))
		}
	})
	whole := time.Since(begin)
	var out latencies
	for _, l := range all {
		out = append(out, l...)
	}
	return out, whole
}

// spread posts `count` events over the connections, `rate` a second in all. Each answer's time counts from when its event was
// due, so that a wait behind a slow answer is not left out.
func spread(address, rule, name string, count, connections, rate int) (latencies, time.Duration) {
	all := make([]latencies, connections)
	begin := time.Now()
	parallel(connections, func(c int) {
		s := dial(address)
		defer s.conn.Close()
		for i := c; i < count; i += connections {
			body := eventBody(rule, fmt.Sprintf("%s-%d", name, i), i)
			due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
			time.Sleep(time.Until(due))
			if status := s.post(body); status != 200 {
				fail("%s: event %d was answered %d", name, i, status)
			}
			all[c] = append(all[c], time.Since(due))
		}
	})
	whole := time.Since(begin)
	var out latencies
	for _, l := range all {
		out = append(out, l...)
	}
	return out, whole
}

func parallel(n int, work func(int)) {
	var group sync.WaitGroup
	for i := 0; i < n; i++ {
		group.Add(1)
		go func() { defer group.Done(); work(i) }()
	}
	group.Wait()
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

// wrk floods with events that match nothing and returns how many were answered.
func wrk(script, address string, seconds int, newConnections bool) int {
	args := []string{"-t1", "-c16", fmt.Sprintf("-d%ds", seconds), "-s", script, "http://" + address + "/"}
	if newConnections {
		args = append([]string{"-H", "Connection: close"}, args...)
	}
	out, err := exec.Command("wrk", args...).CombinedOutput()
	if err != nil {
		fail("wrk: %v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("Non-2xx")) {
		fail("wrk: not every answer was 200:\n%s", out)
	}
	n, _ := strconv.Atoi(string(wrkRequests.FindSubmatch(out)[1]))
	return n
}
