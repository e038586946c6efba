package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"stockroom/internal/config"
)

const hidden = "shpss_0123456789abcdef"

// holder has a Secret in every place where fmt and the encoders look.
type holder struct {
	Public  config.Secret
	private config.Secret
	Pointer *config.Secret
	List    []config.Secret
	Map     map[string]config.Secret
	Any     any
}

type named struct{ S config.Secret }

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	s := config.NewSecret(hidden)
	h := holder{s, s, &s, []config.Secret{s}, map[string]config.Secret{"k": s}, s}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(handler).Info("m", "secret", s, "pointer", &s, "holder", h, slog.Group("g", "s", s))
	}
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	xm, err := xml.Marshal(named{s})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{log.String(), string(js), string(xm), s.String(), s.GoString(), errors.New(fmt.Sprint(s)).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%p", "%T", "%20v", "%.3s", "%t", "%e"} {
		out = append(out, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, h), fmt.Sprintf(verb, &h))
	}
	for _, text := range out {
		for _, shape := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprintf("% x", hidden), hidden[:8]} {
			if strings.Contains(text, shape) {
				t.Errorf("shows the secret: %s", text)
			}
		}
	}
}

func TestASecretRevealsItsValueOnlyOnDemand(t *testing.T) {
	s := config.NewSecret(hidden)
	if s.Reveal() != hidden || !s.IsSet() || s.String() != "[redacted]" {
		t.Errorf("got %q, set %v, shown %q", s.Reveal(), s.IsSet(), s)
	}
	var none config.Secret
	if none.Reveal() != "" || none.IsSet() || none.String() != "" || !none.Equal(config.NewSecret("")) {
		t.Error("the zero secret is not empty")
	}
	if !s.Equal(config.NewSecret(hidden)) || s.Equal(config.NewSecret("x")) || s.Equal(none) {
		t.Error("equality is wrong")
	}
}
