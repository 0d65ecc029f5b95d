package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

// The test binary is also the command, for tests that need a process.
const asCommand = "DETOUR_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// run executes the command and returns its exit code and what it wrote.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = execute(args, &out, &errs)
	return code, out.String(), errs.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each error is a line that begins with the program's name and is no usage dump.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"serv"}, `resolver: there is no verb "serv": did you mean serve?`},
		{[]string{"qqqq"}, `resolver: resolver takes no argument such as "qqqq"; see resolver --help`},
		{[]string{"serve", "x"}, `resolver: resolver serve takes no argument such as "x"; see resolver serve --help`},
		{[]string{"--confg", "x"}, "resolver: unknown flag: --confg; see resolver --help"},
		{[]string{"serve", "--config", "/no/Corefile"}, "resolver: there is no file /no/Corefile: name your Corefile with --config"},
		{[]string{"-c", "/no/Corefile"}, "resolver: there is no file /no/Corefile"},
		{[]string{"serve", "--log-format", "xml"}, `resolver: unknown log format "xml"`},
		{[]string{"check", "/no/Corefile"}, "resolver: there is no file /no/Corefile"},
		{[]string{"status", "--watch", "--json"}, "resolver: --watch is for people and --json for programs: give one of them"},
		{[]string{"man"}, "resolver: say into which directory: resolver man "},
		{[]string{"freeze", "a", "b"}, "resolver: name one target, a region or a service, or none for everything: resolver freeze "},
		{[]string{"version", "x"}, "resolver: resolver version takes no argument"},
	} {
		code, stdout, stderr := run(tt.args...)
		if code != 1 || !strings.HasPrefix(stderr, tt.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%v: code %d\n%s%s\nwant %s", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	var code int
	with := func(err error) int {
		verbs = append(verbs, verbGroup{make: []func() *cobra.Command{func() *cobra.Command {
			return &cobra.Command{Use: "trial", RunE: func(*cobra.Command, []string) error { return err }}
		}}})
		defer func() { verbs = verbs[:len(verbs)-1] }()
		code, _, _ = run("trial")
		return code
	}
	for want, err := range []error{nil, errors.New("x"), &exitError{2, errors.New("x")}, &exitError{3, nil}} {
		if got := with(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

func TestEveryVerbHasAnExample(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Short == "" || !strings.Contains(cmd.Example, "  resolver "+cmd.Name()) {
			t.Errorf("%s has no example, or no short text", cmd.Name())
		}
		code, stdout, _ := run(cmd.Name(), "--help")
		if code != 0 || !strings.Contains(stdout, "Examples:") {
			t.Errorf("%s --help: code %d\n%s", cmd.Name(), code, stdout)
		}
	}
}

// What prints data prints it as JSON too.
func TestEveryVerbHasJSON(t *testing.T) {
	without := map[string]bool{"serve": true, "demo": true, "man": true}
	for _, cmd := range newRoot().Commands() {
		for _, verb := range append(cmd.Commands(), cmd) {
			if verb.Flags().Lookup("json") == nil && !without[cmd.Name()] && (verb != cmd || !cmd.HasSubCommands()) {
				t.Errorf("%s has no --json", verb.CommandPath())
			}
		}
	}
}

// There is a manual page for each verb, the same for everyone.
func TestManual(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	dir := filepath.Join(t.TempDir(), "man1")
	if code, _, stderr := run("man", dir); code != 0 {
		t.Fatal(stderr)
	}
	for _, cmd := range newRoot().Commands() {
		text, err := os.ReadFile(filepath.Join(dir, "resolver-"+cmd.Name()+".1"))
		if cmd.Hidden {
			continue
		}
		if err != nil || !strings.Contains(string(text), ".SH NAME") || strings.Contains(string(text), whoami()+"\"") {
			t.Errorf("%s: %v\n%s", cmd.Name(), err, text)
		}
	}
}

// Shells complete verbs, and the names that a running resolver knows.
func TestCompletion(t *testing.T) {
	addr := fake(t, admin.Status{
		Regions:  []admin.Region{{Name: "aws/us-east-1"}, {Name: "gcp/europe-west1"}},
		Services: []admin.Service{{Name: "api.example.org"}, {Name: "shop.example.org"}},
	})
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"under"}, ""},
		{[]string{"ev"}, "events"},
		{[]string{"drain", "--admin", addr, "a"}, "aws/us-east-1 api.example.org"},
		{[]string{"explain", "--admin", addr, ""}, "api.example.org shop.example.org"},
		{[]string{"explain", "--admin", addr, "shop.example.org", ""}, "A AAAA HTTPS SVCB SRV"},
		{[]string{"simulate", "--admin", addr, "--down", ""}, "aws/us-east-1 gcp/europe-west1"},
		{[]string{"drain", "--admin", "http://127.0.0.1:1", "a"}, ""},
	} {
		_, stdout, _ := run(append([]string{"__complete"}, tt.args...)...)
		var got []string
		for line := range strings.Lines(stdout) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") && word != "" {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := run("version", "--json")
	var v struct{ Detour, CoreDNS, Go string }
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != 0 || v.Go == "" || v.Detour == "" {
		t.Errorf("code %d, %v: %s", code, err, stdout)
	}
}

// freePort is free for udp and tcp on loopback.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestServeInAProcess(t *testing.T) {
	port := freePort(t)
	corefile := write(t, "Corefile", ".:"+port+" {\n bind 127.0.0.1\n whoami\n}\n")
	first := command(t, "-c", corefile)
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, _ := out.Read(line)
	if want := "serves dns://127.0.0.1:" + port + " from " + corefile; !strings.Contains(string(line[:n]), want) {
		t.Errorf("%q is not in %q", want, line[:n])
	}

	second := command(t, "serve", "--config", corefile)
	said, err := second.CombinedOutput()
	if code := exitCode(err); code != 1 || !strings.Contains(string(said), "resolver: udp 127.0.0.1:"+port+" is taken by ") {
		t.Errorf("exit code %d: %s", code, said)
	}
	if strings.Count(string(said), "\n") != 1 {
		t.Errorf("more than a line: %s", said)
	}

	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(first.Wait()); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// TestTranslate holds that the arguments with which CoreDNS is started everywhere mean
// here what they mean there, and that ours are left alone.
func TestTranslate(t *testing.T) {
	for in, want := range map[string]string{
		"-conf /etc/coredns/Corefile":         "--config /etc/coredns/Corefile",
		"-conf=Corefile -dns.port=1053":       "--config=Corefile --port=1053",
		"--conf Corefile -p 53":               "--config Corefile --port 53",
		"-conf Corefile -quiet -pidfile /run": "--config Corefile --quiet --pidfile /run",
		"-log-format json":                    "--log-format json",
		"-version":                            "version",
		"--version":                           "version",
		"-conf x -plugins":                    "plugins",
		"-c Corefile":                         "-c Corefile",
		"serve -c Corefile":                   "serve -c Corefile",
		"status --json":                       "status --json",
		"explain -p 4":                        "explain -p 4",
		"":                                    "",
		"- --":                                "- --",
	} {
		if got := strings.Join(translate(strings.Fields(in)), " "); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if code, out, _ := run("-plugins"); code != 0 || !strings.Contains(out, "\nfailover\ncache\n") {
		t.Errorf("-plugins: %d\n%s", code, out)
	}
	if code, out, _ := run("--version"); code != 0 || !strings.HasPrefix(out, "Detour ") {
		t.Errorf("--version: %d\n%s", code, out)
	}
}
