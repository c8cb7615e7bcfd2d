package services

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Freeze holds back the server with all its processes, as a disk that hangs
// does: connections stay open and nothing is answered. Thaw lets it go on.
//
// A frozen server that a test leaves is thawed before it is ended, as its
// processes could not notice otherwise.
func (s *Server) Freeze() {
	s.tb.Helper()
	s.tb.Cleanup(func() {
		if s.PID() != 0 {
			s.Thaw()
		}
	})
	s.signal(syscall.SIGSTOP)
}

// Thaw undoes Freeze.
func (s *Server) Thaw() { s.tb.Helper(); s.signal(syscall.SIGCONT) }

// signal signals the first process, so that it starts no further ones, and then
// those it has.
func (s *Server) signal(signal syscall.Signal) {
	s.tb.Helper()
	first := s.PID()
	if first == 0 {
		s.tb.Fatalf("%s: it is not running", s.name)
	}
	if err := syscall.Kill(first, signal); err != nil {
		s.tb.Fatalf("%s: %v", s.name, err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	if err != nil {
		s.tb.Fatalf("%s: %v", s.name, err)
	}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err == nil {
			err = syscall.Kill(pid, signal)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			s.tb.Fatalf("%s: %v", s.name, err)
		}
	}
}
