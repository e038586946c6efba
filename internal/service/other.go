//go:build darwin || windows

package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kardianos/service"
)

// other tells launchd or the service manager of Windows.
type other struct{}

// Find is what this system has.
func Find() Manager { return other{} }

func (other) Missing() error { return nil }

func (other) Check(Service) error { return nil }

func (other) CheckData(string) error { return nil }

func (other) As() string { return "" }

// settings are what the system is told.
func settings(s Service) *service.Config {
	flags := append([]string{"serve", "--log-in-data", "--data", s.Data}, s.Flags...)
	return &service.Config{
		Name: name, DisplayName: "Stockroom", Description: "Keeps a copy of a Shopify shop's products.",
		Executable: s.Program, Arguments: flags, UserName: userName(),
		Option: service.KeyValue{
			"KeepAlive": true, "RunAtLoad": true, // launchd
			"OnFailure": "restart", "OnFailureDelayDuration": "10s", "OnFailureResetPeriod": 3600, // Windows
		},
	}
}

// program is what the system's side of the library calls; it asks for nothing.
type program struct{ stop func() }

func (program) Start(service.Service) error { return nil }

func (p program) Stop(service.Service) error {
	if p.stop != nil {
		p.stop()
	}
	return nil
}

// asks is a step that the library does.
func asks(words string, s Service, do func(service.Service) error) Step {
	return Step{Words: words, do: func(context.Context) error {
		known, err := service.New(program{}, settings(s))
		if err != nil {
			return err
		}
		return do(known)
	}}
}

func (o other) Install(s Service) ([]Step, error) {
	words := fmt.Sprintf("tell %s to run, as %s: %s serve --log-in-data --data %s",
		service.Platform(), userName(), s.Program, s.Data)
	return append(append([]Step{asks(words, s, service.Service.Install)}, dataSteps(s)...), o.Start()...), nil
}

func (other) Start() []Step {
	return []Step{asks("start the service", Service{}, service.Service.Start)}
}

func (other) Stop() []Step {
	return []Step{asks("stop the service", Service{}, service.Service.Stop)}
}

func (o other) Uninstall(State) ([]Step, string) {
	steps := append(o.Stop(), asks("remove the service "+name, Service{}, service.Service.Uninstall))
	return steps, "The data dir is left as it is."
}

func (other) State(context.Context) (State, error) {
	s := State{Logs: filepath.Join("DATA", "stockroom.log"), Untried: true, State: "not installed"}
	known, err := service.New(program{}, settings(Service{}))
	if err != nil {
		return s, err
	}
	status, err := known.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return s, nil
	case err != nil:
		return s, err
	}
	s.Installed, s.Enabled, s.Running, s.State = true, true, status == service.StatusRunning, "stopped"
	if s.Running {
		s.State = "running"
	}
	return s, nil
}
