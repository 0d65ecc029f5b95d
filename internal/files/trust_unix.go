//go:build unix

package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	noFollow = syscall.O_NOFOLLOW
	nonblock = syscall.O_NONBLOCK
)

// user is whom a process acts for.
type user struct {
	uid    uint32
	groups []int
}

func me() user {
	groups, _ := os.Getgroups() // without them fewer are ours
	return user{uint32(os.Geteuid()), append(groups, os.Getegid())}
}

// mine reports whether an owner may steer the user: root may, and the user itself.
func (u user) mine(uid uint32) bool { return uid == 0 || uid == u.uid }

// strangers reports whether others than the owner and the user's groups may write.
func (u user) strangers(st *syscall.Stat_t) bool {
	return st.Mode&0o002 != 0 || st.Mode&0o020 != 0 && !slices.Contains(u.groups, int(st.Gid))
}

// fault says what is wrong with an owner and a mode, "" if nothing is.
func (u user) fault(st *syscall.Stat_t) string {
	switch {
	case !u.mine(st.Uid):
		return fmt.Sprintf("belongs to uid %d, and this process runs as uid %d: chown it to that or to root", st.Uid, u.uid)
	case u.strangers(st):
		return fmt.Sprintf("has mode %04o, so that other users may write to it: chmod go-w it", st.Mode&0o7777)
	}
	return ""
}

func trusted(path string, info fs.FileInfo, writes bool) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	why := me().fault(st)
	if why == "" && writes && st.Nlink > 1 {
		why = "has a second name, so that what is written here changes another file: remove it"
	}
	if why != "" {
		return distrust(path, why)
	}
	return nil
}

// CheckDir returns ErrDistrusted for a directory that another user owns, or in which
// one may make and rename files. A volume that root mounted for the user of this
// process is no such directory, whatever its mode: an emptyDir of Kubernetes has
// 0777, and none but root can change that.
func CheckDir(dir string) error {
	if err := checkLink(dir); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	u := me()
	why := u.fault(st)
	if why == "" || st.Uid == 0 && u.uid != 0 && mounted(dir) {
		return nil
	}
	return distrust(dir, why)
}

// checkLink refuses a path that is a symlink of another user.
func checkLink(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && info.Mode()&fs.ModeSymlink != 0 && !me().mine(st.Uid) {
		return distrust(path, fmt.Sprintf("is a symlink of uid %d: remove it", st.Uid))
	}
	return nil
}

// Exposed says what other users can do to a file with a secret that an operator
// names, "" if nothing. A projected volume of Kubernetes has readable files, and no
// other user than that of the pod.
func Exposed(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || strings.Contains(real, "/..") {
		return ""
	}
	info, err := os.Stat(real)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch u := me(); {
	case !ok:
	case !u.mine(st.Uid) || u.strangers(st):
		return path + " " + u.fault(st)
	case st.Mode&0o004 != 0:
		return fmt.Sprintf("%s has mode %04o, so that every user of this machine can read the secret in it: chmod o-r it", path, st.Mode&0o7777)
	}
	return ""
}

// Steered returns ErrDistrusted for a file that an operator names and that any other
// user may write to.
func Steered(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && me().strangers(st) {
		return distrust(path, fmt.Sprintf("has mode %04o, so that other users may write to it: chmod go-w it", st.Mode&0o7777))
	}
	return nil
}

// CheckPlace is CheckDir for a directory that holds a socket: one where nobody may
// remove what others made, such as /tmp, will do.
func CheckPlace(dir string) error {
	err := CheckDir(dir)
	info, serr := os.Stat(dir)
	if err == nil || serr != nil || info.Mode()&fs.ModeSticky == 0 {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && me().mine(st.Uid) {
		return nil
	}
	return err
}

// CheckSocket returns ErrDistrusted for a socket that may be another user's than that
// of the resolver: it belongs to root, to this user, or to the user to whom root gave
// the directory that it is in. A path that this user named itself may be in anybody's
// directory.
func CheckSocket(path string, named bool) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	s, isUnix := info.Sys().(*syscall.Stat_t)
	d, ok := dir.Sys().(*syscall.Stat_t)
	switch u := me(); {
	case info.Mode()&fs.ModeSocket == 0:
		return distrust(path, "is a "+kindOf(info)+", not a socket: remove it")
	case !isUnix || !ok:
		return nil
	case u.strangers(d) && d.Mode&syscall.S_ISVTX == 0:
		return distrust(path, fmt.Sprintf("is in a directory of mode %04o, where other users may replace it: chmod go-w %s", d.Mode&0o7777, filepath.Dir(path)))
	case u.mine(s.Uid):
		return nil
	case s.Uid != d.Uid || !named && !u.gives(filepath.Dir(filepath.Dir(path))):
		return distrust(path, fmt.Sprintf("is a socket of uid %d, not of the resolver: remove it", s.Uid))
	}
	return nil
}

// gives reports whether only root, or the user itself, can have made what is in dir.
func (u user) gives(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || u.fault(st) == ""
}

func kindOf(info fs.FileInfo) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "symlink"
	case info.IsDir():
		return "folder"
	}
	return "file"
}

// Umask makes files for this user only while f runs. It is the process's: whatever
// else is made meanwhile is made so, too.
func Umask(f func()) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	f()
}

// Writable reports whether this process may make files in a directory.
func Writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
