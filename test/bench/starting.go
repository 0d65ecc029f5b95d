package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// starting measures P7: from the start of the process until it says that it is
// ready, with 10,000 services whose 20,000 backends are up.
func (b *bench) starting() error {
	back, err := startBackends()
	if err != nil {
		return err
	}
	defer back.close()
	path, err := b.services("start", names, fmt.Sprintf("monitors: {web: {type: tcp, port: %d}}", back.port), "aws/us-east-1", "gcp/europe-west1")
	if err != nil {
		return err
	}
	var times []float64
	for range 5 {
		t, err := b.startOnce(path)
		if err != nil {
			return err
		}
		times = append(times, t.Seconds())
	}
	b.load("P7", "start to ready, 10,000 services", median(times), 3, "s")
	return nil
}

func (b *bench) startOnce(path string) (time.Duration, error) {
	if err := os.RemoveAll(filepath.Join(b.dir, "state-start")); err != nil {
		return 0, err
	}
	s := &server{bin: b.ours, args: serveArgs, port: 5301, block: watchingBlock(path), free: true}
	start := time.Now()
	if err := s.spawn(b.dir); err != nil {
		return 0, err
	}
	defer s.stop()
	for time.Since(start) < time.Minute {
		if resp, err := http.Get("http://127.0.0.1:9302/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(start), nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, errors.New("it does not become ready")
}
