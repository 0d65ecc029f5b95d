package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// readmeFiles puts the two files of the README into a folder, as they stand there.
func readmeFiles(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*regexp.Regexp{
		"Corefile":      corefileBlock,
		"failover.yaml": regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$"),
	} {
		m := block.FindSubmatch(text)
		if m == nil {
			t.Fatalf("the README has no %s", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), m[1], 0o644); err != nil { //nolint:gosec // as an operator has it
			t.Fatal(err)
		}
	}
}

// walk runs README's commands beside a resolver that RESOLVER starts in the background, and
// asks it; COMMAND is the command as an operator has it. Each step says its name first.
const walk = `
set +e
step() { echo "== $1"; shift; "$@" 2>&1 || echo "exit $?"; }
step check COMMAND check /etc/detour/Corefile
RESOLVER > "$T/log" 2>&1 &
for i in $(seq 300); do dig @127.0.0.1 +short +tries=1 +time=1 shop.example.org 2>&1 | grep -q "^192" && break; sleep 0.1; done
step dig dig @127.0.0.1 +short +tries=1 shop.example.org
step tcp dig @127.0.0.1 +short +tries=1 +tcp shop.example.org
step status COMMAND status
step explain COMMAND explain shop.example.org
step events COMMAND events --since 1h
step simulate COMMAND simulate --down aws/us-east-1
step drain COMMAND drain gcp/europe-west1 --for 1h --reason test --owner test
step state ls "$STATE"
kill -TERM $!
wait $!
echo "== end $?"
cat "$T/log"
`

// sandboxed runs a script as root in namespaces of its own for mounts, processes and the
// network, with the walk at its end, and holds what each step says.
func sandboxed(t *testing.T, script, resolver, command string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces")
	}
	need(t, "unshare", "setpriv", "ip", "setcap", "dig")
	bin, err := kit.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "detour"), 0o755); err != nil { //nolint:gosec // as an operator has it
		t.Fatal(err)
	}
	readmeFiles(t, filepath.Join(dir, "detour"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	text := "set -eu\nip link set lo up\nmount --make-rprivate /\n" + script + strings.NewReplacer("RESOLVER", resolver, "COMMAND", command).Replace(walk)
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", text)
	cmd.Env = append(os.Environ(), "T="+dir, "BIN="+bin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	steps := map[string]string{}
	for part := range strings.SplitSeq(string(out), "== ") {
		name, said, _ := strings.Cut(part, "\n")
		steps[name] = said
	}
	for name, want := range map[string]string{
		"check": "no fault", "dig": "192.0.2.1", "tcp": "192.0.2.1", "status": "shop.example.org", "explain": "aws/us-east-1",
		"events": "start", "simulate": "shop.example.org", "drain": "gcp/europe-west1", "state": "detour.db", "end 0": " Stopping",
	} {
		if got, ok := steps[name]; !ok || !strings.Contains(got, want) || strings.Contains(got, "exit 127") {
			t.Errorf("%s: want %q\n%s", name, want, out)
		}
	}
}

// TestTheUnit walks through the README as its systemd unit runs it: a user of its own, a
// read-only system, no privileges but two capabilities, from another folder.
func TestTheUnit(t *testing.T) {
	sandboxed(t, `
cp -a /etc "$T/etc"; cp -r "$T/detour" "$T/etc/"; echo "nameserver 192.0.2.53" > "$T/etc/resolv.conf"
mkdir "$T/bin"; cp "$BIN" "$T/bin/resolver"
mount --bind "$T/etc" /etc; mount --bind "$T/bin" /usr/local/bin
mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/detour; chown 61184:61184 /run/detour
mount -t tmpfs -o mode=755 tmpfs /var/lib; mkdir -m 700 /var/lib/detour; chown 61184:61184 /var/lib/detour
mount --bind "$T" /mnt; mount --bind / / ; mount -o remount,bind,ro /; mount -o remount,bind,ro /etc
mount -t proc proc /proc
STATE=/var/lib/detour; T=/mnt; cd /usr
`, `env STATE_DIRECTORY=/var/lib/detour RUNTIME_DIRECTORY=/run/detour setpriv --reuid=61184 --regid=61184 --clear-groups --no-new-privs `+
		`--inh-caps=-all,+net_bind_service,+net_raw --ambient-caps=-all,+net_bind_service,+net_raw --bounding-set=-all,+net_bind_service,+net_raw `+
		`/usr/local/bin/resolver serve --config /etc/detour/Corefile`, "/usr/local/bin/resolver")
}

// TestTheImage walks through the README in the image's root: nothing but the binary, with the
// capability that its file has, read-only but for two volumes.
func TestTheImage(t *testing.T) {
	sandboxed(t, `
R="$T/root"; mkdir -p "$R/etc" "$R/var/lib/detour" "$R/run/detour" "$R/proc"
cp "$BIN" "$R/resolver"; setcap cap_net_bind_service=+ep "$R/resolver"
cp -r "$T/detour" "$R/etc/"; echo "nameserver 192.0.2.53" > "$R/etc/resolv.conf"
mount --bind "$R" "$R"; mount -o remount,bind,ro "$R"
mount -t tmpfs -o uid=65532,gid=65532,mode=755 tmpfs "$R/var/lib/detour"
mount -t tmpfs -o uid=65532,gid=65532,mode=755 tmpfs "$R/run/detour"
mount -t proc proc "$R/proc"
STATE="$R/var/lib/detour"; export STATE_DIRECTORY=/var/lib/detour
`, `chroot --userspec=65532:65532 "$R" /resolver serve --config /etc/detour/Corefile`, `chroot --userspec=65532:65532 "$R" /resolver`)
}
