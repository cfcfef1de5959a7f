//go:build unix

package run

import "syscall"

// ownGroup puts a child into a process group of its own, so that Ctrl-C reaches the parent alone, which forwards it once.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
