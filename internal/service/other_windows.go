package service

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
)

func (other) MayChange(string) error {
	if windows.GetCurrentProcessToken().IsElevated() {
		return nil
	}
	return errors.New("only an administrator may change what runs at boot; " +
		"run this again in a terminal that was opened with \"Run as administrator\"")
}

// Data is where Windows keeps what a service writes.
func (other) Data() string { return filepath.Join(os.Getenv("ProgramData"), "Stockroom") }

// userName is the account that Windows makes for this service alone.
func userName() string { return `NT SERVICE\` + name }

// dataSteps make the data dir, for that account and administrators only.
func dataSteps(s Service) []Step {
	make := Step{Words: "make the folder " + s.Data, do: func(context.Context) error { return os.MkdirAll(s.Data, 0o700) }}
	grant := []string{s.Data, "/inheritance:r", "/grant:r", userName() + ":(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F"}
	only := "let only " + userName() + " and administrators into it (icacls)"
	return []Step{make, {Words: only, do: func(ctx context.Context) error {
		return exec.CommandContext(ctx, "icacls", grant...).Run()
	}}}
}

// Obey ends the context when the service manager says so, and tells it with the
// function it returns that all has ended.
func Obey(ctx context.Context) (context.Context, func()) {
	if service.Interactive() {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	served, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		known, err := service.New(program{func() { cancel(); <-served }}, settings(Service{}))
		if err == nil {
			_ = known.Run()
		}
	}()
	return ctx, func() {
		asked := ctx.Err() != nil
		close(served)
		if asked { // else it ended by itself, which the manager has to see as a failure
			<-ended
		}
	}
}
