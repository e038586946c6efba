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
	line, err := e.line()
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed")
}

// longestLine bounds a line of standard input, in bytes. The longest that is asked
// for is the address that a browser ends with, of some 400.
const longestLine = 4096

// reading is what a person or another program is waited for.
type reading struct {
	text string
	err  error
	done chan struct{}
}

func beginReading(read func() (string, error)) *reading {
	r := &reading{done: make(chan struct{})}
	go func() { r.text, r.err = read(); close(r.done) }()
	return r
}

// nextLine begins to read a line from standard input, or goes on with one that nobody
// has waited for to its end: two readers would share what comes.
func (e *env) nextLine() *reading {
	if e.input == nil {
		e.input = bufio.NewReaderSize(e.Stdin, longestLine)
	}
	if e.reading == nil {
		e.reading = beginReading(func() (string, error) {
			line, err := e.input.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("a line is longer than %d bytes", longestLine)
			}
			return string(line), err
		})
	}
	return e.reading
}

// line reads a line from standard input.
func (e *env) line() (string, error) {
	line, err := e.wait(e.nextLine())
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, err
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
	return e.wait(beginReading(func() (string, error) {
		text, err := term.ReadPassword(fd)
		return string(text), err
	}))
}

var errStopped = errors.New("stopped; nothing was changed")

// wait ends with the command, whatever is still waited for.
func (e *env) wait(r *reading) (string, error) {
	select {
	case <-r.done:
		if e.reading == r {
			e.reading = nil
		}
		return r.text, r.err
	case <-e.ctx.Done():
		return "", errStopped
	}
}
