package admin

import (
	"os"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

// TestExposedSecret: a token file that every user reads works, and is warned of.
func TestExposedSecret(t *testing.T) {
	path := write(t, "tokens", "ops "+tokenA)
	s := newSystem(t, fleet+"admin: {token_file: "+path+"}\n")
	c := client(t, s.listen(t, config.Admin{TokenFile: path}))
	warned := func() bool {
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(strings.Join(st.Warnings, "\n"), "can read the secret")
	}
	if warned() {
		t.Error("warned of a file of mode 0600")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if !warned() {
		t.Error("not warned")
	}
}
