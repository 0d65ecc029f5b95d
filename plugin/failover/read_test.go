package failover

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLoadParsesOnce: blocks that name one file share what it says, while it says the
// same and until the start is done; faults are found each time.
func TestLoadParsesOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "failover.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const one = "monitors: {web: {type: tcp, port: 9}}\nservices:\n  a.test: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.1]}]}\n"
	var l lastRead
	if _, err := l.load(path); err == nil {
		t.Fatal("no file is no fault")
	}
	write(one)
	first, err := l.load(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.load(path); err != nil || again != first {
		t.Errorf("it is parsed twice: %v", err)
	}
	write(one + "surprise: 1\n")
	for range 2 {
		if cfg, err := l.load(path); err == nil || cfg != nil {
			t.Errorf("a fault is not found: %v", cfg)
		}
	}
	write(one)
	second, err := l.load(path)
	if err != nil || second == first {
		t.Errorf("after a fault: %v", err)
	}
	l.forget()
	if third, err := l.load(path); err != nil || third == second {
		t.Errorf("after the start: %v", err)
	}
}
