package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// line is one of Stoop's log.
type line struct {
	Message, Status, Rule, Pod, Result, Error string
	at                                        time.Time
	text                                      string
}

// stoop is a server whose log comes through a pipe, so that the end of an action is seen at once and without asking.
type stoop struct {
	cmd     *exec.Cmd
	address string
	lines   chan line
	client  *http.Client
	number  int
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

const artifacts = "artifacts"

// rules: an event's rule chooses the action.
func (b *bench) rules() string {
	file := fmt.Sprintf("{target: 'local:file', parameters: {destination: %s}}", filepath.Join(b.dir, artifacts))
	s3 := "{target: 'minio:s3', parameters: {bucket: " + artifacts + "}}"
	var out strings.Builder
	for _, r := range []struct{ name, actionner, parameters, output string }{
		{"Exec", "kubernetes:exec", "{command: 'true'}", ""},
		{"Drain", "kubernetes:drain", "{grace_period_seconds: 0, max_wait_period: 120}", ""},
		{"Kill", "kubernetes:terminate", "{grace_period_seconds: 0}", ""},
		{"Capture", "kubernetes:tcpdump", fmt.Sprintf("{duration: %d}", captureSeconds), file},
		{"Download to a file", "kubernetes:download", "{file: " + bigFile + "}", file},
		{"Download to S3", "kubernetes:download", "{file: " + bigFile + "}", s3},
		{"Log to a file", "kubernetes:log", "{tail_lines: 10000000}", file},
		{"Log to S3", "kubernetes:log", "{tail_lines: 10000000}", s3},
	} {
		fmt.Fprintf(&out, "- rule: %[1]s\n  match: {rules: [%[1]s]}\n  actions:\n    - action: %[1]s\n      actionner: %[2]s\n      parameters: %[3]s\n", r.name, r.actionner, r.parameters)
		if r.output != "" {
			fmt.Fprintf(&out, "      output: %s\n", r.output)
		}
	}
	return out.String()
}

// startStoop starts a server with a fresh store; `more` are lines of the configuration.
func (b *bench) startStoop(more string) *stoop {
	b.number++
	dir := filepath.Join(b.dir, fmt.Sprint("stoop", b.number))
	must(os.MkdirAll(dir, 0o700))
	must(os.MkdirAll(filepath.Join(b.dir, artifacts), 0o700))
	port := freePort()
	must(os.WriteFile(dir+"/rules.yaml", []byte(b.rules()), 0o600))
	must(os.WriteFile(dir+"/config.yaml", []byte(fmt.Sprintf(`listen_address: 127.0.0.1
listen_port: %d
kubeconfig: %s
log_format: json
rules_files: [%s/rules.yaml]
store: {path: %s/store.db}
images: {tcpdump: "stoop.test/tcpdump:1"}
%s`, port, b.kubeconfig, dir, dir, more)), 0o600))
	s := &stoop{cmd: exec.Command(b.stoop, "server", "-c", dir+"/config.yaml"), address: fmt.Sprintf("127.0.0.1:%d", port),
		lines: make(chan line, 100000), client: &http.Client{Timeout: 10 * time.Second}}
	read, write, err := os.Pipe()
	must(err)
	s.cmd.Stdout, s.cmd.Stderr = write, write
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(s.cmd.Start())
	write.Close()
	go s.readLog(read)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if answer, err := s.client.Get("http://" + s.address + "/readyz"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return s
			}
		}
		if time.Now().After(until) {
			fail("stoop did not start: %s", s.said())
		}
	}
}

func (s *stoop) readLog(from io.ReadCloser) {
	defer from.Close()
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l := line{at: time.Now(), text: scanner.Text()}
		json.Unmarshal(scanner.Bytes(), &l)
		s.lines <- l
	}
	close(s.lines)
}

func (s *stoop) said() string {
	var out strings.Builder
	for {
		select {
		case l, ok := <-s.lines:
			if !ok {
				return out.String()
			}
			out.WriteString("\n" + l.text)
		default:
			return out.String()
		}
	}
}

// event is as Falco sends it.
func (s *stoop) event(rule, namespace, pod string, more map[string]any) []byte {
	s.number++
	fields := map[string]any{"evt.time.iso8601": time.Now().UnixNano(), "evt.type": "execve", "k8s.ns.name": namespace, "k8s.pod.name": pod,
		"proc.pid": s.number, "proc.cmdline": "sh -c id", "proc.name": "sh", "proc.pname": "containerd-shim", "user.name": "root", "user.uid": 0}
	for k, v := range more {
		fields[k] = v
	}
	body, err := json.Marshal(map[string]any{"hostname": "node-1", "output": "A shell was spawned in a container", "output_fields": fields,
		"priority": "Notice", "rule": rule, "source": "syscall", "tags": []string{"T1059", "shell"}, "time": time.Now().UTC().Format(time.RFC3339Nano)})
	must(err)
	return body
}

// post returns when the event's sending began.
func (s *stoop) post(body []byte) time.Time {
	began := time.Now()
	answer, err := s.client.Post("http://"+s.address+"/", "application/json", bytes.NewReader(body))
	must(err)
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 200 {
		fail("an event was answered %d", answer.StatusCode)
	}
	return began
}

// success waits for the next successful end of `message` (action or output); anything else that ended is the benchmark's end.
func (s *stoop) success(message string, limit time.Duration) line {
	timer := time.After(limit)
	for {
		select {
		case l, ok := <-s.lines:
			switch {
			case !ok:
				fail("stoop ended")
			case l.Status == "failure" || l.Status == "ignored" || l.Status == "stale":
				fail("not what is measured: %s", l.text)
			case l.Message == message && l.Status == "success":
				return l
			}
		case <-timer:
			fail("no %s ended within %s", message, limit)
		}
	}
}

func (s *stoop) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	killer := time.AfterFunc(15*time.Second, func() { s.cmd.Process.Kill() })
	for range s.lines { // until it has closed its log
	}
	s.cmd.Wait()
	killer.Stop()
}

// peak is the highest resident memory so far, in MiB.
func (s *stoop) peak() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	must(err)
	for _, l := range strings.Split(string(text), "\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "VmHWM:" {
			kib, _ := strconv.Atoi(f[1])
			return float64(kib) / 1024
		}
	}
	fail("no VmHWM")
	return 0
}
