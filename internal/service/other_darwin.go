package service

import (
	"errors"
	"os"
	"os/user"
)

func (other) MayChange(command string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return errors.New("only root may change what runs at boot; run: sudo " + command)
}

// Data is the data dir of the person who installs the service.
func (other) Data() string { return "" }

// userName is the person who called sudo, whose data dir it is.
func userName() string {
	if by := os.Getenv("SUDO_USER"); by != "" {
		return by
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

func dataSteps(Service) []Step { return nil }
