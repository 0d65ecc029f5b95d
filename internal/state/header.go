package state

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/detour-dns/detour/internal/files"
)

// A bbolt file begins with two header pages, of which each transaction writes the
// older one. Where their fields lie in a page:
const (
	atMagic    = 16 // after the page's own header
	atPageSize = 24
	atTxid     = 64
	atSum      = 72 // FNV-1a of all from the magic on
	headerEnd  = 80

	magic     = 0xED0CDAED
	minPage   = 1 << 10
	maxPage   = 64 << 10
	usualPage = 4 << 10
)

// header is one of the two.
type header struct {
	page uint32 // bytes of a page
	txid uint64
	ok   bool
}

func readHeader(f io.ReaderAt, at int64) header {
	var b [headerEnd]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return header{}
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[atMagic:atSum]) // it does not fail
	return header{
		binary.NativeEndian.Uint32(b[atPageSize:]), binary.NativeEndian.Uint64(b[atTxid:]),
		binary.NativeEndian.Uint32(b[atMagic:]) == magic && binary.NativeEndian.Uint64(b[atSum:]) == sum.Sum64(),
	}
}

// headers returns both header pages of a file. The second is found by the size of a
// page, which the first says, or else the second itself.
func headers(f io.ReaderAt) (first, second header) {
	if first = readHeader(f, 0); first.ok {
		return first, readHeader(f, int64(first.page))
	}
	for page := int64(minPage); page <= maxPage; page *= 2 {
		if h := readHeader(f, page); h.ok && int64(h.page) == page {
			return first, h
		}
	}
	return first, readHeader(f, usualPage)
}

// headerDoubt says what a file may have lost because one of its header pages is
// damaged, or older than the other by more than one transaction; "" if nothing.
func headerDoubt(path string) string {
	f, err := files.OpenOwn(path, os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	first, second := headers(f)
	switch {
	case first.ok && second.ok && (first.txid == second.txid+1 || second.txid == first.txid+1):
		return ""
	case first.ok && second.ok:
		return fmt.Sprintf("the header pages of the state file %s do not belong together: the last changes before the stop may be missing", path)
	case first.ok != second.ok:
		return fmt.Sprintf("one of the two header pages of the state file %s is damaged: the last change before the stop may be missing", path)
	}
	return "" // nothing in it can be read, which is told otherwise
}
