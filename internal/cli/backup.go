package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"stockroom/internal/backup"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/internal/status"
)

type backupCommand struct {
	File        string `arg:"" help:"File to write; - for standard output."`
	WithSecrets bool   `help:"Also what lets somebody in: credentials of the shops, tokens, the password."`
	Force       bool   `help:"Replace FILE when it is there, once the backup is whole."`
}

// Run has the server make a backup, or this process where none runs, and reads it while
// it is written and, of a file, once more.
func (c backupCommand) Run(e *env) error {
	p := e.newProgress("", false)
	defer p.end()
	if c.File == "-" {
		if isTerminal(e.Stdout) || e.json {
			return withCode(config.ExitUsage, errors.New(
				"the backup goes to standard output; redirect it, without --json, or name a FILE"))
		}
		m, err := c.write(e, p, e.Stdout)
		if err == nil {
			p.end()
			c.tell(e, m, "standard output")
		}
		return err
	}
	file, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	switch info, err := os.Stat(file); {
	case err == nil && !info.Mode().IsRegular():
		return withCode(config.ExitUsage, fmt.Errorf("%s is no file; name a file to write", file))
	case err == nil && !c.Force:
		return withCode(config.ExitUsage,
			fmt.Errorf("%s exists already; --force replaces it, or choose another name", file))
	}
	dir, err := folder.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("write %s: %w; choose a folder that is there and that you may write to",
			file, errors.Unwrap(err))
	}
	defer dir.Close()
	m, err := backup.WriteFile(e.ctx, dir, filepath.Base(file), func(out io.Writer) error {
		_, err := c.write(e, p, out)
		return err
	}, p.bytes("reading it again"))
	if err != nil {
		return err
	}
	p.end()
	if e.json {
		return e.print(struct {
			File string `json:"file"`
			backup.Manifest
		}{file, m})
	}
	c.tell(e, m, file)
	return nil
}

// write writes the backup to out while it is looked through.
func (c backupCommand) write(e *env, p *progress, out io.Writer) (m backup.Manifest, err error) {
	return m, e.with(false, func(cl *client) error {
		var res *http.Response
		err := p.during("copying the stores and looking through the copies", func() (err error) {
			params := map[string]string{}
			if c.WithSecrets {
				params["secrets"] = "true"
			}
			res, err = cl.do(e.ctx, http.MethodGet, address("/api/v1/backup", params), nil)
			return err
		})
		if err != nil {
			return err
		}
		defer res.Body.Close()
		seen, pipe := io.Pipe()
		done := make(chan error, 1)
		go func() {
			var err error
			m, err = backup.Read(e.ctx, seen, p.bytes("writing the backup"))
			_ = seen.CloseWithError(err)
			done <- err
		}()
		_, err = io.Copy(io.MultiWriter(out, pipe), res.Body)
		_ = pipe.CloseWithError(err)
		if read := <-done; err == nil {
			err = read
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w; the server's log says why", errBrokeOff)
		}
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		return nil
	})
}

func (c backupCommand) tell(e *env, m backup.Manifest, where string) {
	fmt.Fprintf(e.Stderr, "Backed up %s of %s to %s; every byte was read again.\n",
		status.Count(m.Products, "product"), status.Count(int64(len(m.Shops)), "shop"), where)
	if m.Secrets {
		fmt.Fprintln(e.Stderr,
			"It holds every secret of the shops and of the page: keep it where nobody else can read it.")
		return
	}
	fmt.Fprintf(e.Stderr, "It holds no secrets: after a restore each shop needs its credentials again, "+
		"and the page its password. To keep them too: %s\n", e.command("backup --with-secrets FILE"))
}

type restoreCommand struct {
	File string `arg:"" help:"Backup to read; - for standard input."`
	Yes  bool   `help:"Do not ask before what is stored now is put away."`
}

// Run puts a backup in place. A server that runs has the data dir, which is said.
func (c restoreCommand) Run(e *env, s config.Settings) error {
	in := e.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if errors.Is(err, fs.ErrNotExist) {
			return withCode(config.ExitUsage, fmt.Errorf("there is no file %s", c.File))
		}
		if err != nil {
			return fmt.Errorf("read the backup: %w", err)
		}
		defer f.Close()
		in = f
	} else if isTerminal(e.Stdin) {
		return withCode(config.ExitUsage, errors.New(
			"the backup is read from standard input; direct it there, or name a FILE"))
	}
	dir, err := datadir.Open(s.DataDir, datadir.Options{})
	if err != nil {
		return err
	}
	got, err := c.restore(e, dir, in)
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	if got.Kept != "" {
		got.Kept = filepath.Join(dir.Path(), got.Kept)
	}
	if e.json {
		return e.print(got)
	}
	c.tell(e, got, dir.Path())
	return nil
}

func (c restoreCommand) restore(e *env, dir *datadir.Dir, in io.Reader) (backup.Restored, error) {
	if dir.Holds() && !c.Yes {
		words := "There are stores in the data dir " + dir.Path() + " already. " +
			"They are moved into a folder of it, and the backup takes their place."
		if err := e.confirm(words); err != nil {
			return backup.Restored{}, err
		}
	}
	p := e.newProgress("", false)
	defer p.end()
	got, err := backup.Restore(e.ctx, dir, in, p.bytes("reading the backup"), time.Now())
	if err != nil {
		return got, fmt.Errorf("restore: %w", err)
	}
	return got, nil
}

func (c restoreCommand) tell(e *env, got backup.Restored, dir string) {
	out := e.Stderr
	fmt.Fprintf(out, "Restored the backup of %s with %s of %s to %s.\n",
		got.CreatedAt.Local().Format("2006-01-02 15:04"), status.Count(got.Products, "product"), status.Count(int64(len(got.Shops)), "shop"), dir)
	if got.Kept != "" {
		fmt.Fprintf(out, "What was there before is in %s; delete it when you no longer need it.\n", got.Kept)
	}
	if len(got.NeedSecrets) > 0 {
		fmt.Fprintln(out, "The backup holds no secrets. "+
			"Give each shop its credentials again, and set the page's password if it had one:")
		for _, shop := range got.NeedSecrets {
			fmt.Fprintln(out, "  "+e.command("shop add "+shop))
		}
	}
	fmt.Fprintf(out, "Start Stockroom now (%s): it compares every product with the shop.\n", e.command("serve"))
}
