package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/test/gateway"
	"github.com/sallyport/sallyport/test/services"
)

// within names the environment variable that says that this process is in a
// namespace of its own.
const within = "SALLYPORT_DISK_NAMESPACE"

const mayMount = 21 // CAP_SYS_ADMIN of capability.h

func TestMain(m *testing.M) {
	if os.Getenv(within) == "" {
		os.Exit(inNamespace())
	}
	// What is mounted here is not to be seen outside.
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		fmt.Fprintln(os.Stderr, "test/disk: mounts can't be kept private:", err)
		os.Exit(1)
	}
	code := m.Run()
	gateway.Clean()
	services.EndShared()
	os.Exit(code)
}

// inNamespace runs this test binary again where it may mount, and returns how
// it ended.
func inNamespace() int {
	runtime.LockOSThread()                                 // the kernel takes the end of this thread for ours
	self := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // it ends with us
	self.Args[0] = os.Args[0]
	self.Env = append(os.Environ(), within+"=1")
	self.Stdin, self.Stdout, self.Stderr = os.Stdin, os.Stdout, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		self.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		self.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		self.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		self.SysProcAttr.AmbientCaps = []uintptr{mayMount}
	}
	err := self.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return ended.ExitCode()
	}
	fmt.Fprintf(os.Stderr, "test/disk: NOTHING WAS TESTED, as this process may not mount a disk: %v; run the tests as root, or allow user namespaces\n", err)
	if os.Getenv("CI") != "" {
		return 1
	}
	return 0
}

// disk is a small disk.
type disk struct {
	t    *testing.T
	path string
}

// mount puts a disk of so many bytes at an empty folder, with the owner and the
// mode of that folder.
func mount(t *testing.T, folder string, bytes int) *disk {
	t.Helper()
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	options := fmt.Sprintf("size=%d,uid=%d,gid=%d,mode=0%o", bytes, owner.Uid, owner.Gid, info.Mode().Perm())
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, options); err != nil {
		t.Fatalf("mount at %s: %v", folder, err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
	return &disk{t: t, path: folder}
}

// grow gives the disk another size, as an operator does who was called.
func (d *disk) grow(bytes int) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", bytes)); err != nil {
		d.t.Fatalf("grow %s: %v", d.path, err)
	}
}

// free is how many bytes can still be written.
func (d *disk) free() int {
	d.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.path, &s); err != nil {
		d.t.Fatal(err)
	}
	return int(s.Bavail) * int(s.Bsize)
}

// fill writes a file until no byte more can be, and returns what removes it.
func (d *disk) fill() (free func()) {
	d.t.Helper()
	path := filepath.Join(d.path, "ballast")
	file, err := os.Create(path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, endless{}); !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("filling the disk: %v", err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			d.t.Error(err)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
