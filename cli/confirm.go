package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// asks reports whether somebody can be asked.
func (e *env) asks() bool { return isTerminal(e.Stdin) }

// confirm asks a person whether to do what words say. Without a terminal it
// refuses: nobody can be asked there.
func (e *env) confirm(words string) error {
	if !e.asks() {
		return fmt.Errorf("%s Nothing was changed, as nobody can be asked here; add --yes to do it", words)
	}
	fmt.Fprintf(e.Stderr, "%s Go on? [y/N] ", words)
	line, err := bufio.NewReader(io.LimitReader(e.Stdin, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed")
}
