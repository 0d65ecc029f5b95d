package admin

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/files"
)

// runDir is the directory that a service manager gives the resolver, or root makes.
var runDir = "/run/detour"

// EnvAddr names the environment variable with the address of a resolver's API.
const EnvAddr = "DETOUR_ADMIN"

const socketFile = "admin.sock"

// group is the group whose members may use the socket, if there is such a group.
const group = "detour"

// places are where the socket is, unless an address is given, in this order. For root
// a user's own directory is none of them: sudo may leave a user's XDG_RUNTIME_DIR in
// the environment.
func places(state string, root bool) []string {
	out := []string{filepath.Join(runDir, socketFile)}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && !root {
		out = append(out, filepath.Join(dir, "detour", socketFile))
	}
	if state != "" {
		out = append(out, filepath.Join(state, socketFile))
	}
	return out
}

// Socket returns the first place in which this process may make a socket.
func Socket(state string) (*url.URL, error) {
	all, why := places(state, os.Geteuid() == 0), ""
	for _, path := range all {
		err := prepare(filepath.Dir(path))
		if err == nil {
			return &url.URL{Scheme: "unix", Path: path}, nil
		}
		why += "; " + err.Error()
	}
	return nil, fmt.Errorf("there is no place for the socket of the admin API: set admin.listen to unix:///path%s", why)
}

// prepare makes the directory of a socket if its parent is there, and reports what
// keeps a socket from being made in it.
func prepare(dir string) error {
	mode := os.FileMode(0o700)
	if dir == runDir {
		mode = 0o755 // members of the group pass through
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := files.CheckDir(dir); err != nil {
		return err
	}
	if !files.Writable(dir) {
		return fmt.Errorf("%s is not writable for this user", dir)
	}
	return nil
}

// find returns the address of the resolver that answers at the first of the places. A
// place that somebody else may have made is no reason to look further: it is told.
func find() (string, error) {
	all := places(config.DefaultStateDir(), os.Geteuid() == 0)
	var barred string
	for _, path := range all {
		switch err := answers(path); {
		case err == nil:
			return "unix://" + path, nil
		case errors.Is(err, files.ErrDistrusted):
			return "", fmt.Errorf("the socket of the resolver is refused: %w", err)
		case errors.Is(err, os.ErrPermission) && barred == "":
			barred = path
		}
	}
	if barred != "" {
		return "", fmt.Errorf("unix://%s may not be used by this user: try as root, or as a member of the socket's group", barred)
	}
	return "", fmt.Errorf("no resolver answers at %s: is it running? give its address with --admin or in %s, such as unix:///path or http://127.0.0.1:8053", strings.Join(all, " or "), EnvAddr)
}

// answers connects to a socket, and sends nothing.
func answers(path string) error {
	if err := files.CheckSocket(path, false); err != nil {
		return err
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if errors.Is(err, syscall.EAGAIN) { // its queue is full: somebody is there
		return nil
	}
	if err != nil {
		return err
	}
	return c.Close()
}

// groupID returns the ID of the socket's group, -1 if there is none. The file is read
// as it is: to ask a directory service could mean to ask this resolver.
func groupID() int { return idIn("/etc/group", group) }

// idIn returns the ID of a name in a file such as /etc/group, -1 if it has none.
func idIn(path, name string) int {
	id := -1
	eachAccount(path, func(n string, i int) {
		if n == name && id < 0 {
			id = i
		}
	})
	return id
}

// userName returns the name of a user of this machine, "" if it has none.
func userName(uid int) (name string) {
	eachAccount("/etc/passwd", func(n string, i int) {
		if i == uid && name == "" {
			name = n
		}
	})
	return name
}

// maxAccounts bounds the files of accounts, in bytes.
const maxAccounts = 1 << 20

func eachAccount(path string, f func(name string, id int)) {
	data, err := files.Read(path, maxAccounts)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 4)
		if len(parts) < 3 || len(parts[0]) > 64 {
			continue
		}
		if _, steers := config.Control(parts[0]); steers {
			continue
		}
		if id, err := strconv.Atoi(parts[2]); err == nil && id >= 0 {
			f(parts[0], id)
		}
	}
}
