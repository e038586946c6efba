package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
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
	line, err := e.line(100)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed")
}

// line reads a line from standard input.
func (e *env) line(most int64) (string, error) {
	return e.typed(func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(e.Stdin, most)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return line, err
	})
}

// hidden asks for what must not be seen; asks has said that somebody is there.
func (e *env) hidden(words string) (string, error) {
	fmt.Fprint(e.Stderr, words, ": ")
	defer fmt.Fprintln(e.Stderr)
	fd := int(e.Stdin.(interface{ Fd() uintptr }).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, before) // whoever stops the command sees again what is typed
	return e.typed(func() (string, error) {
		text, err := term.ReadPassword(fd)
		return string(text), err
	})
}

// typed calls read, which waits for a person or another program, and waits no longer
// than the command may run.
func (e *env) typed(read func() (string, error)) (string, error) {
	var text string
	var err error
	done := make(chan struct{})
	go func() { text, err = read(); close(done) }()
	select {
	case <-done:
		return text, err
	case <-e.ctx.Done():
		return "", errors.New("stopped; nothing was changed")
	}
}
