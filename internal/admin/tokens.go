package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/detour-dns/detour/internal/files"
)

// minToken is the shortest token: 16 random characters of base64 are 96 bits.
const minToken = 16

// maxTokens bounds the token file, in bytes.
const maxTokens = 64 << 10

// scope is what a caller may do.
type scope int

const (
	nothing  scope = iota
	reads          // ask
	operates       // ask and change
)

// scopes are the words for them in a token file.
var scopes = map[string]scope{"read": reads, "operate": operates}

func (s scope) String() string {
	for word, is := range scopes {
		if is == s {
			return word
		}
	}
	return "nothing"
}

// token is a line of the token file.
type token struct {
	name  string
	scope scope
	sum   [sha256.Size]byte
}

// readTokens reads the token file: a line for each token, `name scope token`, `name
// token` or `token`. Without a scope a token operates; without a name it is admin's.
// The file is read for each request, which are few, so that a revoked token ends at
// once. A file that any user may write to is refused: who adds a line is let in.
func readTokens(path string) (out []token, err error) {
	if err := files.Steered(path); err != nil {
		return nil, fmt.Errorf("admin.token_file: %w", err)
	}
	data, err := files.Read(path, maxTokens)
	if err != nil {
		return nil, fmt.Errorf("admin.token_file: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		t, ok := newToken(f)
		if !ok {
			return nil, fmt.Errorf("admin.token_file: line %d of %s is not `name scope token`, `name token` or `token`; the scope is read or operate, and a token has at least %d characters", n, path, minToken)
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, errors.New("admin.token_file: " + path + " holds no token: resolver token new NAME --file " + path + " makes one")
	}
	return out, nil
}

// newToken makes a token of the words of a line.
func newToken(words []string) (token, bool) {
	name, may, secret := "admin", operates, words[len(words)-1]
	if len(words) > 1 {
		name = words[0]
	}
	known := true
	if len(words) == 3 {
		may, known = scopes[words[1]]
	}
	return token{name, may, sha256.Sum256([]byte(secret))}, known && len(words) <= 3 && len(secret) >= minToken
}

// match returns the token that is given, with the narrowest scope that the file has
// for it. It looks at all of them, whatever it finds: the time must tell nothing.
func match(tokens []token, given string) (out token, found bool) {
	sum := sha256.Sum256([]byte(given))
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 && (!found || t.scope < out.scope) {
			out, found = t, true
		}
	}
	return out, found
}

// Token is a token as people see it: without its secret.
type Token struct {
	Name   string `json:"name"`
	Scope  string `json:"scope"`
	Secret string `json:"token,omitempty"` // only of one that was just made
}

// Tokens lists the tokens in a file.
func Tokens(path string) ([]Token, error) {
	all, err := readTokens(path)
	if err != nil {
		return nil, err
	}
	out := make([]Token, 0, len(all))
	for _, t := range all {
		out = append(out, Token{Name: t.name, Scope: t.scope.String()})
	}
	return out, nil
}

var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// NewToken makes a token and adds it to a file, which is made if there is none.
func NewToken(path, name, may string) (Token, error) {
	if !tokenName.MatchString(name) {
		return Token{}, fmt.Errorf("%s is no name for a token: use letters, digits, . _ and -, at most 64", quote(name))
	}
	if _, ok := scopes[may]; !ok {
		return Token{}, fmt.Errorf("there is no scope %s: use read or operate", quote(may))
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it does not fail
	t := Token{name, may, hex.EncodeToString(secret[:])}
	return t, edit(path, true, func(lines []string) ([]string, error) {
		if slices.ContainsFunc(lines, func(l string) bool { return nameIn(l) == name }) {
			return nil, fmt.Errorf("%s has a token %s already: revoke it, or give another name", path, name)
		}
		return append(lines, name+" "+may+" "+t.Secret), nil
	})
}

// RevokeToken takes the tokens of a name out of a file, and returns how many.
func RevokeToken(path, name string) (n int, err error) {
	return n, edit(path, false, func(lines []string) ([]string, error) {
		left := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return nameIn(l) == name })
		if n = len(lines) - len(left); n == 0 {
			return nil, fmt.Errorf("%s has no token %s: resolver token list shows those that there are", path, quote(name))
		}
		return left, nil
	})
}

// nameIn returns the name of the token in a line, "" if it holds none.
func nameIn(line string) string {
	f := strings.Fields(line)
	if len(f) == 0 || strings.HasPrefix(f[0], "#") {
		return ""
	}
	t, _ := newToken(f)
	return t.name
}

// edit changes the lines of a token file. The file is whole at any moment, keeps its
// owner, and is readable for others only as far as it was for its group. Two edits at
// once are one too many: the second is refused.
func edit(path string, create bool, change func([]string) ([]string, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	next, err := os.OpenFile(path+".next", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s.next is there: another command edits the tokens; if none does, remove it", path)
	}
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if err := errors.Join(rewrite(next, path, create, change), next.Sync(), next.Close()); err != nil {
		_ = os.Remove(next.Name())
		return err
	}
	if err := os.Rename(next.Name(), path); err != nil {
		_ = os.Remove(next.Name())
		return fmt.Errorf("token file: %w", err)
	}
	return nil
}

// rewrite writes into next what the file at path is to hold.
func rewrite(next *os.File, path string, create bool, change func([]string) ([]string, error)) error {
	lines, err := linesOf(path, create)
	if err == nil {
		lines, err = change(lines)
	}
	if err == nil {
		err = likeBefore(next, path)
	}
	if err == nil && len(lines) > 0 {
		_, err = next.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return err
}

func linesOf(path string, create bool) ([]string, error) {
	data, err := files.Read(path, maxTokens)
	if create && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	if text := strings.TrimRight(string(data), "\n"); text != "" {
		return strings.Split(text, "\n"), nil
	}
	return nil, nil
}
