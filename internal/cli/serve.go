package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/service"
)

type serveCommand struct {
	LogInData bool `help:"Write the log to stockroom.log in the data dir, at most twice 10 MB, and nothing to the terminal."`
}

func (serveCommand) Run(e *env, s config.Settings) error {
	var ended func()
	e.ctx, ended = service.Obey(e.ctx)
	defer ended()
	if err := checkServe(s, mayKeepPassword(s)); err != nil {
		return withCode(config.ExitConfig, err)
	}
	e.twoProcessors()
	log := e.logger(s, slog.LevelInfo)
	for _, w := range s.Warnings {
		log.Warn(w)
	}
	l, err := e.listen(s)
	if err != nil {
		return err
	}
	opening := &appliance.Opening{Waiting: func(text string, next time.Duration) {
		// So that a slow disk is not taken for a process that hangs.
		tellManager(log, fmt.Sprintf("STATUS=%s\nEXTEND_TIMEOUT_USEC=%d", text, (next+time.Minute).Microseconds()))
	}}
	l.AnswerStarting(opening, log)
	a, err := appliance.Open(e.ctx, appliance.Options{
		Settings: s, Version: e.Version, Logger: log, LogLeftOut: e.logLeftOut(), Opening: opening, Stopping: e.stop.waitsFor,
	})
	if err != nil {
		err = errors.Join(err, l.Close())
		if e.ctx.Err() != nil && errors.Is(err, context.Cause(e.ctx)) {
			log.Info("stopped before anything was served", "while", opening.Words())
			return nil
		}
		return err
	}
	if err := checkServe(s, a.HasPassword()); err != nil {
		return errors.Join(withCode(config.ExitConfig, err), l.Close(), a.Close())
	}
	e.aimAtLittleMemory()
	l.Ready = func() { e.serving(a, l, s, log) }
	err = a.Serve(e.ctx, l)
	tellManager(log, daemon.SdNotifyStopping)
	if err := errors.Join(err, a.Close()); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	log.Info("stopped; everything acknowledged is on disk")
	return nil
}

// listen opens the sockets before the data dir is open, so that whoever comes
// while a slow disk is waited for is told so. Another server on the same data
// dir says more than a taken address does.
func (e *env) listen(s config.Settings) (appliance.Listeners, error) {
	l, err := appliance.Listen(s)
	if err == nil {
		return l, nil
	}
	dir, held := datadir.Open(s.DataDir, datadir.Options{})
	if held != nil {
		return l, held
	}
	return l, errors.Join(err, dir.Close())
}

// serving says that requests are served now, and where.
func (e *env) serving(a *appliance.Appliance, l appliance.Listeners, s config.Settings, log *slog.Logger) {
	if !a.HasPassword() {
		link, until := a.NewLoginLink(l.AdminURL())
		if err := e.tellLink("page_link", link, until, "Status page: ", "; another: "+s.Command("open")); err != nil {
			log.Debug("standard output", "error", err.Error())
		}
	}
	for _, w := range l.Warnings {
		log.Warn(w)
	}
	log.Info("serving", "webhooks", l.WebhooksURL(), "page", l.AdminURL(), "data", s.DataDir, "version", e.Version)
	tellManager(log, daemon.SdNotifyReady)
}

// twoProcessors lets Go schedule onto two threads where the machine has one core.
// With one, goroutines that the network woke wait in Go's global queue, of which
// one is taken for every 61 that run, so under load some requests waited for a
// quarter of a second while others went ahead. Who sets GOMAXPROCS knows better.
func (e *env) twoProcessors() {
	if e.variable("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2)
	}
}

const (
	memoryAim  = 104 << 20 // bytes, from which on the collector works harder
	memoryRoom = 48 << 20  // above what stays alive, without which it would never rest
	memoryLook = 5 * time.Second
	memoryLong = 24 // looks for which memory is alive that stays: a password takes 64 MiB again and again
)

// aimAtLittleMemory keeps garbage within bounds: what strangers can make the server
// hold at one time is less than memoryAim, and garbage would double it. Where more
// stays alive, as with very many shops, the aim is higher. Who sets GOMEMLIMIT knows better.
func (e *env) aimAtLittleMemory() {
	if e.variable("GOMEMLIMIT") != "" {
		return
	}
	go func() {
		alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		var lately [memoryLong]uint64
		for n := 0; ; n++ {
			metrics.Read(alive)
			now := alive[0].Value.Uint64() + alive[1].Value.Uint64()
			if lately[n%memoryLong] = now; n == 0 {
				lately = [memoryLong]uint64(slices.Repeat([]uint64{now}, memoryLong)) // what was opened
			}
			debug.SetMemoryLimit(max(memoryAim, int64(slices.Min(lately[:]))+memoryRoom))
			select {
			case <-time.After(memoryLook):
			case <-e.ctx.Done():
				return
			}
		}
	}()
}
