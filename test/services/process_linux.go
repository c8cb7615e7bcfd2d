package services

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel end the process when ours is gone.
func endWithUs(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT // PostgreSQL takes its children along
}
