// Floor is the least that any response engine must do, as plain Go does it: decode the event, send one DELETE to the API
// server over TLS and HTTP/2, answer. No rules, no store, no checks.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

type event struct {
	Output       string         `json:"output"`
	Priority     string         `json:"priority"`
	Rule         string         `json:"rule"`
	Time         string         `json:"time"`
	Source       string         `json:"source"`
	Hostname     string         `json:"hostname"`
	Tags         []string       `json:"tags"`
	OutputFields map[string]any `json:"output_fields"`
}

// usage: floor LISTEN_ADDRESS API_URL CA_FILE TOKEN
func main() {
	pem, err := os.ReadFile(os.Args[3])
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var e event
		if json.NewDecoder(r.Body).Decode(&e) != nil {
			http.Error(w, "bad event", http.StatusBadRequest)
			return
		}
		if e.Rule != "Terminal shell in container" {
			return
		}
		url := fmt.Sprintf("%s/api/v1/namespaces/%v/pods/%v", os.Args[2], e.OutputFields["k8s.ns.name"], e.OutputFields["k8s.pod.name"])
		q, _ := http.NewRequest("DELETE", url, nil)
		q.Header.Set("Authorization", "Bearer "+os.Args[4])
		a, err := client.Do(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.Copy(io.Discard, a.Body)
		a.Body.Close()
	})
	panic(http.ListenAndServe(os.Args[1], nil))
}
