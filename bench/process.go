package main

import (
	"fmt"
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

// process is a server under test: Stoop or the floor.
type process struct {
	cmd     *exec.Cmd
	address string
	ready   time.Duration // from start to the first answer
	log     string
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func start(name, dir string, port int, args []string) *process {
	p := &process{cmd: exec.Command(args[0], args[1:]...), address: fmt.Sprintf("127.0.0.1:%d", port), log: filepath.Join(dir, name+".log")}
	log, err := os.Create(p.log)
	must(err)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begin := time.Now()
	must(p.cmd.Start())
	for {
		if a, err := http.Get("http://" + p.address + "/readyz"); err == nil {
			a.Body.Close()
			if a.StatusCode != 503 {
				break
			}
		}
		if time.Since(begin) > 10*time.Second {
			text, _ := os.ReadFile(p.log)
			fail("%s did not start:\n%s", name, text)
		}
		time.Sleep(time.Millisecond)
	}
	p.ready = time.Since(begin)
	return p
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(12 * time.Second):
		p.cmd.Process.Kill()
		<-done
	}
}

// cpu is the processor time used so far.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	must(err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is a line of /proc/PID/status in MiB: VmRSS or VmHWM.
func (p *process) memory(key string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(err)
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key+":" {
			kib, _ := strconv.Atoi(f[1])
			return float64(kib) / 1024
		}
	}
	return 0
}
