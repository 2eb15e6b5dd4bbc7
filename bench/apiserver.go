package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// apiServer stands in for Kubernetes' API server: TLS, HTTP/2, answers at once, notes when each pod's DELETE arrived. A
// GET of a log hangs.
type apiServer struct {
	url, ca, kubeconfig string
	mu                  sync.Mutex
	deleted             map[string]time.Time
	changed             *sync.Cond
	logs                int
}

const token = "bench-token"
const podDeleted = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`

func startAPIServer(dir string) *apiServer {
	s := &apiServer{deleted: map[string]time.Time{}, ca: filepath.Join(dir, "ca.pem"), kubeconfig: filepath.Join(dir, "kubeconfig")}
	s.changed = sync.NewCond(&s.mu)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	must(err)
	must(os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	s.url = "https://" + listener.Addr().String()
	server := &http.Server{Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}}
	go server.ServeTLS(listener, "", "")
	must(os.WriteFile(s.kubeconfig, []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "%s", certificate-authority: "%s"}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, s.url, s.ca, token)), 0o600))
	return s
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == "DELETE":
		s.mu.Lock()
		if _, twice := s.deleted[r.URL.Path]; !twice {
			s.deleted[r.URL.Path] = arrived
		}
		s.mu.Unlock()
		s.changed.Broadcast()
		io.WriteString(w, podDeleted)
	case strings.HasSuffix(r.URL.Path, "/log"):
		s.mu.Lock()
		s.logs++
		s.mu.Unlock()
		s.changed.Broadcast()
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	case r.Method == "GET" && strings.Contains(r.URL.Path, "/pods/"):
		io.WriteString(w, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"n","uid":"u"},"spec":{"containers":[{"name":"c"}]},"status":{"containerStatuses":[{"name":"c","containerID":"containerd://fa2df48fba46"}]}}`)
	default:
		w.WriteHeader(404)
		io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

func podPath(pod string) string { return "/api/v1/namespaces/bench/pods/" + pod }

// wait blocks until done says so or the time is over.
func (s *apiServer) wait(limit time.Duration, done func() bool) bool {
	timer := time.AfterFunc(limit, func() { s.changed.Broadcast() })
	defer timer.Stop()
	end := time.Now().Add(limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		if time.Now().After(end) {
			return false
		}
		s.changed.Wait()
	}
	return true
}

func (s *apiServer) reset() {
	s.mu.Lock()
	s.deleted, s.logs = map[string]time.Time{}, 0
	s.mu.Unlock()
}
