// Package source names where services and endpoints come from. The file itself
// needs none; a name as an endpoint is looked up by Names. Consul and the
// clouds' DNS each live in a package below this one.
package source

import (
	"net/netip"
	"time"
)

// Found is what is known of the names that stand as endpoints: their last good
// addresses. Errors and empty answers never shrink a set.
type Found map[string]Addresses

// Addresses is what a name last resolved to.
type Addresses struct {
	Addrs []netip.Addr // sorted; at most MaxKept
	At    time.Time    // of the last answer that held any
}

// MaxKept bounds the addresses that are kept of one name.
const MaxKept = 64
