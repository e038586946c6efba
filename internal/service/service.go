package service

import (
	"context"
	"fmt"
	"time"
)

// name is that of the service, and of its user.
const name = "stockroom"

// Service is what the system is told to run.
type Service struct {
	Program string   // absolute path
	Data    string   // the data dir, absolute
	Flags   []string // of serve, beside --data
	Reads   []string // files that the flags name
	Sockets []Socket
	Command string // what follows the program in the command that installs it
}

// Socket is a port that the system opens for the service.
type Socket struct {
	Name    string `json:"name"`    // https, http, listen or admin, by which serve knows it
	Address string `json:"address"` // IP address and port, or the port alone for all addresses
}

// Step is one thing that is done.
type Step struct {
	Words string `json:"step"`           // what it is, as a command where it is one
	Path  string `json:"path,omitempty"` // the file that it writes
	Text  string `json:"text,omitempty"` // what it writes there

	do func(context.Context) error
}

// Do does the steps in order, up to the first that fails.
func Do(ctx context.Context, steps []Step) error {
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.Words, err)
		}
	}
	return nil
}

// State is how the service stands.
type State struct {
	Installed bool      `json:"installed"`
	Enabled   bool      `json:"enabled"` // it starts at boot
	Running   bool      `json:"running"`
	State     string    `json:"state"` // in the system's words
	Since     time.Time `json:"since,omitzero"`
	Data      string    `json:"data,omitempty"`
	Sockets   []Socket  `json:"sockets,omitempty"`
	Log       []string  `json:"log,omitempty"`     // its last lines, when it does not run
	Logs      string    `json:"logs_in"`           // where its log is: a command or a file
	Untried   bool      `json:"untried,omitempty"` // nobody has tried this system yet
	Problem   string    `json:"problem,omitempty"` // why the log can't be read
}

// Manager is what starts services on this system.
type Manager interface {
	// Missing says that this machine can't run the service, nil when it can.
	Missing() error
	// Data is where the data dir is unless somebody names another.
	Data() string
	// Check says why the program or a file that it reads can't be used, and what to do.
	Check(s Service) error
	// CheckData says why the service could not use a data dir, and what to do.
	CheckData(path string) error
	// MayChange says that this user may not do it, and how command is run by one who may.
	MayChange(command string) error
	// As begins a command that is run as the service's user.
	As() string
	Install(s Service) ([]Step, error)
	Start() []Step
	Stop() []Step
	// Uninstall leaves the data dir. left says what else it leaves, and how that goes.
	Uninstall(now State) (steps []Step, left string)
	State(ctx context.Context) (State, error)
}
