package consul

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// assigned is bits for checks, as base64 of those of each bucket, with a dot between
// two: 10,000 checks are 2 kB.
type assigned [][]byte

// MarshalText implements encoding.TextMarshaler.
func (a assigned) MarshalText() (text []byte, _ error) {
	for i, bits := range a {
		if i > 0 {
			text = append(text, '.')
		}
		text = base64.RawStdEncoding.AppendEncode(text, bits)
	}
	return text, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *assigned) UnmarshalText(text []byte) error {
	parts := bytes.Split(text, []byte{'.'})
	if len(parts) > maxDigests {
		return errors.New("not assigned checks")
	}
	*a = make(assigned, len(parts))
	for i, part := range parts {
		bits, err := base64.RawStdEncoding.Strict().AppendDecode([]byte{}, part)
		if err != nil {
			return errors.New("not assigned checks")
		}
		(*a)[i] = bits
	}
	return nil
}
