package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
)

const (
	bigFile   = "/tmp/big"
	bigSize   = 1 << 30
	accessKey = "bench"
	secretKey = "bench-secret"
)

// startGateway starts an S3 server that keeps objects as files, with a bucket; returns its address.
func (b *bench) startGateway() string {
	data := filepath.Join(b.dir, "s3")
	must(os.MkdirAll(filepath.Join(data, artifacts), 0o700))
	address := fmt.Sprintf("127.0.0.1:%d", freePort())
	cmd := exec.Command(b.gateway, "--access", accessKey, "--secret", secretKey, "--region", "us-east-1", "--port", address, "posix", data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(cmd.Start())
	cleanup = append(cleanup, func() { cmd.Process.Kill(); cmd.Wait() })
	wait("the S3 server", 20*time.Second, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}

// files of a folder; the S3 server's own begin with a dot.
func files(folder string) []string {
	found, err := filepath.Glob(filepath.Join(folder, "[^.]*"))
	must(err)
	return found
}

// empty removes what is in a folder and has the disk write what is still to be written, so that nobody pays for those before.
func empty(folder string) {
	for _, f := range files(folder) {
		must(os.RemoveAll(f))
	}
	syscall.Sync()
}

// only returns the one file of a folder, which must have the size.
func only(folder string, size int64) string {
	files := files(folder)
	if len(files) != 1 {
		fail("%d files in %s", len(files), folder)
	}
	info, err := os.Stat(files[0])
	must(err)
	if info.Size() != size {
		fail("%s has %d bytes and not %d", files[0], info.Size(), size)
	}
	return files[0]
}

// streams measures one GiB through kubectl into a file, through Stoop into a file, through Stoop into S3; in turn.
func (b *bench) streams(runs int, what, pod, fileRule, s3Rule string, kubectl ...string) {
	gateway := b.startGateway()
	config := fmt.Sprintf("limits: {artifact_bytes: %d, action_seconds: 600}\nminio: {endpoint: '%s', access_key: %s, secret_key: %s}\n",
		int64(2*bigSize), gateway, accessKey, secretKey)
	beside, local, objects := filepath.Join(b.dir, "kubectl"), filepath.Join(b.dir, artifacts), filepath.Join(b.dir, "s3", artifacts)
	must(os.MkdirAll(beside, 0o700))
	must(os.MkdirAll(local, 0o700))
	clean := func() {
		for _, folder := range []string{beside, local, objects} {
			empty(folder)
		}
	}
	once := func(rule string) (float64, float64) {
		s := b.startStoop(config)
		defer s.stop()
		began := s.post(s.event(rule, namespace, pod, nil))
		took := s.success("output", 300*time.Second).at.Sub(began)
		return took.Seconds(), s.peak()
	}
	var kube, file, s3, fileRatio, s3Ratio []float64
	var filePeak, s3Peak float64
	for i := 0; i < runs; i++ {
		clean()
		out, err := os.Create(filepath.Join(beside, "out"))
		must(err)
		k := b.runKubectl(out, kubectl...).Seconds()
		out.Close()
		size := int64(bigSize)
		if i > 0 {
			clean()
		}
		f, peak := once(fileRule)
		filePeak = max(filePeak, peak)
		mine := only(local, size)
		if i == 0 { // the same bytes
			if text, err := exec.Command("cmp", mine, only(beside, size)).CombinedOutput(); err != nil {
				fail("cmp: %s", text)
			}
		}
		clean()
		o, peak := once(s3Rule)
		s3Peak = max(s3Peak, peak)
		only(objects, size)
		say("%s, run %d: kubectl %.2f s, file %.2f s, S3 %.2f s", what, i+1, k, f, o)
		kube, file, s3 = append(kube, k), append(file, f), append(s3, o)
		fileRatio, s3Ratio = append(fileRatio, k/f), append(s3Ratio, k/o)
	}
	clean()
	speed := func(seconds []float64) string { return fmt.Sprintf("%.0f MiB/s", bigSize/median(seconds)/(1<<20)) }
	row("1 GiB "+what+" to `local:file`, throughput", speed(file), "kubectl "+speed(kube), fmt.Sprintf("%.2f", median(fileRatio)), "at least 0.8")
	row("the same, highest memory", fmt.Sprintf("%.1f MB", filePeak), "", "", "under 32 MB")
	row("1 GiB "+what+" to S3 (`minio:s3`), throughput", speed(s3), "kubectl "+speed(kube), fmt.Sprintf("%.2f", median(s3Ratio)), "at least 0.8")
	row("the same, highest memory", fmt.Sprintf("%.1f MB", s3Peak), "", "", "under 32 MB")
}

func (b *bench) downloads() {
	b.pod("big", fmt.Sprintf("yes 'a line of a file that somebody wants to see' | head -c %d >%s; touch /tmp/made; exec sleep 100000", bigSize, bigFile))
	b.waitPhase("big", v1.PodRunning)
	b.runKubectl(nil, "exec", "-n", namespace, "big", "--", "sh", "-c", "while [ ! -e /tmp/made ]; do sleep 0.1; done")
	b.streams(b.runs, "download", "big", "Download to a file", "Download to S3", "exec", "-n", namespace, "big", "--", "cat", bigFile)
	b.remove("big")
}

// logs: lines of 192 bytes. Once: a kubelet needs minutes for 1 GiB.
func (b *bench) logs() {
	b.pod("talk", fmt.Sprintf("yes '%0191d' | head -c %d", 7, bigSize))
	b.waitPhase("talk", v1.PodSucceeded)
	b.streams(1, "log", "talk", "Log to a file", "Log to S3", "logs", "-n", namespace, "talk")
	b.remove("talk")
}
