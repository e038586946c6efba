package cli

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"

	"stockroom/appliance"
	"stockroom/config"
)

type serveCommand struct{}

func (serveCommand) Run(e *env) error {
	s, err := e.settings()
	if err != nil {
		return err
	}
	if err := s.CheckServe(mayKeepPassword(s)); err != nil {
		return withCode(config.ExitConfig, err)
	}
	log := e.logger(s, slog.LevelInfo)
	for _, w := range s.Warnings {
		log.Warn(w)
	}
	a, err := appliance.Open(e.ctx, appliance.Options{Settings: s, Version: e.Version, Logger: log})
	if err != nil {
		return err
	}
	if err := s.CheckServe(a.HasPassword()); err != nil {
		return errors.Join(withCode(config.ExitConfig, err), a.Close())
	}
	l, err := a.Listen()
	if err != nil {
		return errors.Join(err, a.Close())
	}
	if !a.HasPassword() {
		link, until := a.NewSetupLink(l.AdminURL())
		if err := e.tellLink(link, until, "The status page has no password; set one here: "); err != nil {
			log.Debug("standard output", "error", err.Error())
		}
	}
	log.Info("serving", "webhooks", "http://"+l.Public.Addr().String()+"/webhooks/shopify/products", "page", l.AdminURL(), "data", s.DataDir, "version", e.Version)
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("the service manager can't be told that we are ready", "error", err.Error())
	}
	err = a.Serve(e.ctx, l)
	if _, e := daemon.SdNotify(false, daemon.SdNotifyStopping); e != nil {
		log.Debug("service manager", "error", e.Error())
	}
	if err := errors.Join(err, a.Close()); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	log.Info("stopped; everything acknowledged is on disk")
	return nil
}
