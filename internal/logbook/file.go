package logbook

import (
	"io"
	"os"
	"sync"
)

// fileMost is the size of a log file in bytes, from which on another one begins.
const fileMost = 10_000_000

// File writes to a log file that is there for whoever looks for it, beside the one
// before it, called .1: at most fileMost bytes each. The folder is known by its handle,
// and only opened: while it is not there, lines go to another writer.
type File struct {
	folder, name string
	instead      io.Writer

	mu   sync.Mutex
	dir  *os.Root
	file *os.File
	size int64
}

// NewFile returns a log file in a folder, which is opened with the first line.
func NewFile(folder, name string, instead io.Writer) *File {
	return &File{folder: folder, name: name, instead: instead}
}

// Write writes a line or more. An error is of this call alone: the next one tries again.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == nil {
		dir, err := os.OpenRoot(l.folder)
		if err != nil {
			return l.instead.Write(p)
		}
		l.dir = dir
	}
	if err := l.open(); err != nil {
		return 0, err
	}
	if l.size > 0 && l.size+int64(len(p)) > fileMost {
		_ = l.file.Close() // Windows renames no open file
		l.file = nil
		if err := l.dir.Rename(l.name, l.name+".1"); err != nil {
			return 0, err
		}
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

// open opens the file that is written to, if it is not open. mu is held.
func (l *File) open() error {
	if l.file != nil {
		return nil
	}
	f, err := l.dir.OpenFile(l.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}
