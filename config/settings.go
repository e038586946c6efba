package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Values of Settings.LogFormat.
const (
	LogAuto = "auto" // text on a terminal, else json
	LogText = "text"
	LogJSON = "json"
)

// Settings are the values in force, checked. Their meanings, ranges and
// defaults are in the table, see All.
type Settings struct {
	Program           string // as it was called, "" for its name
	ConfigFile        string // "" for none
	DataDir           string
	Listen            string // host:port
	AdminListen       string // host:port
	AdminPasswordFile string // as given, "" for none
	AdminPassword     Secret // from the file or the environment, unset for none
	AdminHosts        []string
	PublicURL         string // without a slash at its end, "" for none
	TrustedProxies    []netip.Prefix
	APIVersion        string // YYYY-MM
	APIBase           string // without a slash at its end, may hold {shop}
	LimitPoints       int
	LimitWindow       time.Duration
	LimitAdaptive     bool
	BreakerFailures   int
	BreakerReset      time.Duration
	RetryDelay        time.Duration
	RetryAttempts     int
	MaxBody           int64         // bytes
	ReconcileEvery    time.Duration // 0: only on request
	FullSyncEvery     time.Duration // 0: only on request
	KeepDeliveries    time.Duration
	KeepChanges       time.Duration
	SpaceWarnBytes    int64  // 0: no such limit
	SpaceWarnPercent  int    // of the disk; 0: no such limit
	LogFormat         string // LogAuto, LogText or LogJSON

	// Shop is the shop that the environment declares; its Domain is "" when
	// there is none.
	Shop EnvShop
	// Warnings are sentences for the log, about things that were ignored.
	Warnings []string

	origins     map[string]Origin // by name of the setting, and by variable for SHOPIFY_*
	passwordErr error             // why the password file can't be used
}

// Origin returns where the value of the setting called name came from, the
// default when nobody gave one.
func (s Settings) Origin(name string) Origin { return s.origins[name] }

// APIBaseFor returns the base address of the Admin API for a shop's domain.
func (s Settings) APIBaseFor(shop string) string {
	return strings.ReplaceAll(s.APIBase, "{shop}", shop)
}

// SharedListener reports whether one listener serves both the public and the
// admin side: their addresses are the same and it is a loopback one.
func (s Settings) SharedListener() bool {
	return s.Listen == s.AdminListen && loopbackAddress(s.Listen) && !strings.HasSuffix(s.Listen, ":0")
}

// AdminOnLoopback reports whether only this machine reaches the admin side.
func (s Settings) AdminOnLoopback() bool { return loopbackAddress(s.AdminListen) }

// CheckServe reports what keeps these settings from serving. It is apart from
// Load because commands that only talk to a server need none of it.
// passwordStored says whether a password was set earlier and is kept in the
// data dir.
func (s Settings) CheckServe(passwordStored bool) error {
	var errs []error
	if s.passwordErr != nil {
		errs = append(errs, s.passwordErr)
	}
	if !loopbackAddress(s.AdminListen) {
		if !s.AdminPassword.IsSet() && s.passwordErr == nil && !passwordStored {
			errs = append(errs, fmt.Errorf("admin-listen: %s can be reached from other machines, which needs a password: set one with stockroom password set or --admin-password-file, or listen on 127.0.0.1", s.AdminListen))
		}
		if s.Listen == s.AdminListen {
			errs = append(errs, fmt.Errorf("admin-listen: it may be the same as --listen only on a loopback address; %s is not one, use another port", s.AdminListen))
		}
	}
	return errors.Join(errs...)
}

// check reports settings that are sound alone but not together.
func (s *Settings) check() error {
	if s.PublicURL == "" || strings.HasPrefix(s.PublicURL, "https://") {
		return nil
	}
	// A simulated shop on this machine can post to this machine; Shopify can't.
	public, base := mustHost(s.PublicURL), mustHost(s.APIBaseFor("example.myshopify.com"))
	if loopbackHost(public) && loopbackHost(base) {
		return nil
	}
	return errors.New("it begins with http://, and Shopify only delivers to https:// addresses")
}

// mustHost returns the host of an address that was checked before.
func mustHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// loopbackAddress reports whether host:port is reached from this machine only.
func loopbackAddress(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	return err == nil && loopbackHost(host)
}
