//go:build !darwin && !windows

package service

import (
	"fmt"
	"regexp"
	"strings"

	"stockroom/internal/config"
)

// plain is a path that a unit, a shell and a list of arguments all take as it is.
var plain = regexp.MustCompile(`^/[A-Za-z0-9/._@:+,=~-]*$`)

// hidden are folders that the service does not see, or that are not there for long.
func hidden() []string {
	return []string{"/home", "/root", "/run", "/tmp", "/var/tmp", "/dev", "/proc", "/sys"}
}

// visible says why the service could not use what is at path, and "" when it can.
func visible(path string) string {
	if !plain.MatchString(path) {
		return "has characters in its path that are special to the system"
	}
	for _, dir := range hidden() {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return "is in " + dir + ", which the service does not see"
		}
	}
	return ""
}

// checkProgram says that the program has to be put elsewhere first.
func checkProgram(s Service) error {
	why := visible(s.Program)
	if why == "" {
		return nil
	}
	place := "/usr/local/bin/" + name
	return fmt.Errorf("the program %s %s; put it where programs belong, and install it from there: "+
		"sudo install -m 0755 %s %s && sudo %s %s", s.Program, why, config.ShellQuote(s.Program), place, place, s.Command)
}

// checkReads says that a file has to be put elsewhere first.
func checkReads(s Service) error {
	for _, path := range s.Reads {
		if why := visible(path); why != "" {
			return fmt.Errorf("the file %s %s; put it into /etc/stockroom, where the service's user may read it, "+
				"and name it there", path, why)
		}
	}
	return nil
}
