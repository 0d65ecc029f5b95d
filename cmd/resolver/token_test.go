package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/admin"
)

// TestToken walks a token through its life: it is printed once, listed without its
// secret, and revoked.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	code, secret, stderr := run("token", "new", "dash", "--file", file)
	if code != 0 || len(strings.TrimSpace(secret)) != 64 {
		t.Fatalf("%d %q %s", code, secret, stderr)
	}
	code, stdout, _ := run("token", "new", "ops", "--scope", "operate", "--json", "--file", file)
	var made admin.Token
	if err := json.Unmarshal([]byte(stdout), &made); err != nil || code != 0 || made.Scope != "operate" || len(made.Secret) != 64 {
		t.Errorf("%d %s %v", code, stdout, err)
	}
	_, stdout, _ = run("token", "list", "--file", file)
	if stdout != "NAME  SCOPE\ndash  read\nops   operate\n" {
		t.Errorf("%q", stdout)
	}
	if code, stdout, _ = run("token", "revoke", "dash", "--file", file); code != 0 || stdout != "revoked dash\n" {
		t.Errorf("%d %q", code, stdout)
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "dash") || !strings.Contains(string(text), "ops operate "+made.Secret) {
		t.Errorf("%s %v", text, err)
	}
	for _, args := range [][]string{{"token"}, {"token", "new"}, {"token", "revoke", "dash", "--file", file}, {"token", "list"}} {
		if code, _, stderr := run(args...); code != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}
