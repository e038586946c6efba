package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
)

type serveCommand struct{}

func (serveCommand) Run(e *env, s config.Settings) error {
	if err := s.CheckServe(mayKeepPassword(s)); err != nil {
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
	if err := s.CheckServe(a.HasPassword()); err != nil {
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
	log.Info("serving", "webhooks", "http://"+l.Public.Addr().String()+"/webhooks/shopify/products", "page", l.AdminURL(), "data", s.DataDir, "version", e.Version)
	tellManager(log, daemon.SdNotifyReady)
}
