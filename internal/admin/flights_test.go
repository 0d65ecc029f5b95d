package admin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/guard"
)

// TestRepliesThatNobodyTakes holds that those who ask for much and do not read it hold no
// more of it than a bound, and that others are answered: the oldest of them lose.
func TestRepliesThatNobodyTakes(t *testing.T) {
	k := keep(t)
	long := guard.Report{Block: ".:53/", Good: time.Now()}
	for i := range 64 {
		long.Members = append(long.Members, guard.Member{IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Last: guard.At(time.Now())})
	}
	for i := range 1000 {
		long.Name = fmt.Sprintf("n%04d.cloud.example.", i)
		k.names = append(k.names, long)
	}
	srv := newSystem(t, fleet).listen(t, config.Admin{Listen: loopback()})
	size := len(send(t, srv, http.MethodGet, "/v1/guard", "").body)
	if size < 5<<20 {
		t.Fatalf("a reply of %d bytes fits into the kernel's buffers", size)
	}
	for range 2 * maxFlying / size {
		c, err := net.Dial("tcp", srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // it was cut, or is not read
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		_, _ = fmt.Fprintf(c, "GET /v1/guard HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, 15)); err != nil {
			t.Fatal(err)
		}
		srv.flights.mu.Lock()
		sum, n := srv.flights.sum, len(srv.flights.list)
		srv.flights.mu.Unlock()
		if sum > maxFlying || n > maxFlying/size {
			t.Fatalf("%d replies with %d bytes are under way", n, sum)
		}
	}
	if r := send(t, srv, http.MethodGet, "/v1/guard", ""); len(r.body) != size {
		t.Errorf("a reader got %d bytes of %d", len(r.body), size)
	}
	sending := func() int {
		stacks := make([]byte, 16<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*flights).send(")
	}
	for end := time.Now().Add(10 * time.Second); sending() > maxFlying/size; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d replies are being sent, want %d at most", sending(), maxFlying/size)
		}
	}
}
