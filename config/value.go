package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// value reads and writes one setting as text.
type value struct {
	set  func(s *Settings, text string) error // checks text and stores it
	show func(s *Settings) string             // the value in force, as set reads it
}

// errEmpty answers an empty text for a setting that needs a value.
var errEmpty = errors.New("must not be empty")

// text is any text, "" included.
func text(at func(*Settings) *string) value {
	return value{
		set:  func(s *Settings, text string) error { *at(s) = text; return nil },
		show: func(s *Settings) string { return *at(s) },
	}
}

// filePath is a path that must be given. It is made absolute, so that whoever is
// told of it finds it from everywhere.
func filePath(at func(*Settings) *string) value {
	v := text(at)
	v.set = func(s *Settings, text string) error {
		if text == "" {
			return errEmpty
		}
		path, err := filepath.Abs(text)
		if err != nil {
			return err
		}
		*at(s) = path
		return nil
	}
	return v
}

// address is host:port to listen on.
func address(at func(*Settings) *string) value {
	v := text(at)
	v.set = func(s *Settings, text string) error {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return fmt.Errorf("%q is not an address, write host:port, for example 127.0.0.1:8080", text)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return fmt.Errorf("%q has no usable port, write a number from 1 to 65535, or 0 for any free one", text)
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName().MatchString(strings.ToLower(host)) {
			return fmt.Errorf("%q has no usable host, write an IP address, localhost or nothing for all addresses", text)
		}
		*at(s) = text
		return nil
	}
	return v
}

// count is a whole number from lo to hi.
func count(at func(*Settings) *int, lo, hi int) value {
	return value{
		set: func(s *Settings, text string) error {
			n, err := strconv.Atoi(text)
			if err != nil || n < lo || n > hi {
				return fmt.Errorf("%q is not a whole number from %d to %d", text, lo, hi)
			}
			*at(s) = n
			return nil
		},
		show: func(s *Settings) string { return strconv.Itoa(*at(s)) },
	}
}

// zeroRule says whether a duration may be 0 although that is below its range.
type zeroRule bool

const (
	never  zeroRule = false
	orZero zeroRule = true
)

// duration is a duration from lo to hi.
func duration(at func(*Settings) *time.Duration, lo, hi string, zero zeroRule) value {
	return value{
		set: func(s *Settings, text string) error {
			d, err := ParseDuration(text)
			if err != nil {
				return err
			}
			low, _ := ParseDuration(lo)
			high, _ := ParseDuration(hi)
			if (d < low || d > high) && (d != 0 || zero == never) {
				note := ""
				if zero {
					note = ", or 0"
				}
				return fmt.Errorf("%q is out of range, use %s to %s%s", text, lo, hi, note)
			}
			*at(s) = d
			return nil
		},
		show: func(s *Settings) string { return FormatDuration(*at(s)) },
	}
}

// size is a number of bytes from lo to hi.
func size(at func(*Settings) *int64, lo, hi string) value {
	return value{
		set: func(s *Settings, text string) error {
			n, err := ParseSize(text)
			if err != nil {
				return err
			}
			low, _ := ParseSize(lo)
			high, _ := ParseSize(hi)
			if n < low || n > high {
				return fmt.Errorf("%q is out of range, use %s to %s", text, lo, hi)
			}
			*at(s) = n
			return nil
		},
		show: func(s *Settings) string { return FormatSize(*at(s)) },
	}
}

// spaceValue is a size, a share of the disk in percent, or both.
func spaceValue() value {
	return value{
		set: func(s *Settings, text string) error {
			items := splitList(text)
			if len(items) == 0 || len(items) > 2 {
				return fmt.Errorf("%q is not an amount of room, write for example 1GiB, 5%% or 1GiB,5%%", text)
			}
			var bytes int64
			var percent int
			var hasBytes, hasPercent bool
			for _, item := range items {
				number, isShare := strings.CutSuffix(item, "%")
				n, err := strconv.Atoi(strings.TrimSpace(number))
				switch {
				case isShare && hasPercent, !isShare && hasBytes:
					return fmt.Errorf("%q names two amounts of a kind, write for example 1GiB,5%%", text)
				case isShare && (err != nil || n < 0 || n > 50):
					return fmt.Errorf("%q is out of range, use a whole number from 0%% to 50%%", item)
				case isShare:
					percent, hasPercent = n, true
					continue
				}
				if bytes, err = ParseSize(item); err != nil {
					return err
				}
				hasBytes = true
			}
			s.SpaceWarnBytes, s.SpaceWarnPercent = bytes, percent
			return nil
		},
		show: func(s *Settings) string {
			var items []string
			if s.SpaceWarnBytes > 0 {
				items = append(items, FormatSize(s.SpaceWarnBytes))
			}
			if s.SpaceWarnPercent > 0 {
				items = append(items, strconv.Itoa(s.SpaceWarnPercent)+"%")
			}
			return cmp.Or(strings.Join(items, ","), "0")
		},
	}
}

func adaptiveValue() value {
	return value{
		set: func(s *Settings, text string) error {
			switch strings.ToLower(text) {
			case "true", "yes", "on", "1":
				s.LimitAdaptive = true
			case "false", "no", "off", "0":
				s.LimitAdaptive = false
			default:
				return fmt.Errorf("%q is neither true nor false", text)
			}
			return nil
		},
		show: func(s *Settings) string { return strconv.FormatBool(s.LimitAdaptive) },
	}
}

func logFormatValue() value {
	return value{
		set: func(s *Settings, text string) error {
			switch text {
			case LogAuto, LogText, LogJSON:
				s.LogFormat = text
				return nil
			}
			return fmt.Errorf("%q is not a log format, use %s, %s or %s", text, LogAuto, LogText, LogJSON)
		},
		show: func(s *Settings) string { return s.LogFormat },
	}
}

// minPassword is the least length of the admin password in bytes; the value is
// the minimum of OWASP ASVS 5.0, 6.2.1.
const minPassword = 8

func checkPassword(p Secret) error {
	if n := len(p.Reveal()); n < minPassword || n > 1024 {
		return fmt.Errorf("the password has %d characters, use at least %d", n, minPassword)
	}
	return nil
}

func passwordValue() value {
	return value{
		set: func(s *Settings, text string) error {
			s.AdminPassword = NewSecret(text)
			return checkPassword(s.AdminPassword)
		},
		show: func(s *Settings) string { return s.AdminPassword.String() },
	}
}

func apiVersionValue() value {
	return value{
		set: func(s *Settings, text string) error {
			if !regexp.MustCompile(`^20[0-9]{2}-(01|04|07|10)$`).MatchString(text) {
				return fmt.Errorf("%q is not a version of the Admin API, write YYYY-MM with the month 01, 04, 07 or 10, for example 2026-10", text)
			}
			s.APIVersion = text
			return nil
		},
		show: func(s *Settings) string { return s.APIVersion },
	}
}

func apiBaseValue() value {
	return value{
		set: func(s *Settings, text string) error {
			// The placeholder is no valid part of a host name.
			u, err := baseURL(strings.ReplaceAll(text, "{shop}", "example.myshopify.com"))
			if err != nil {
				return err
			}
			if u.Scheme != "https" && !loopbackHost(u.Hostname()) {
				return errors.New("access tokens go to this address: it must begin with https:// unless it is on this machine")
			}
			s.APIBase = strings.TrimRight(text, "/")
			return nil
		},
		show: func(s *Settings) string { return s.APIBase },
	}
}

func publicURLValue() value {
	return value{
		set: func(s *Settings, text string) error {
			if text == "" {
				s.PublicURL = ""
				return nil
			}
			if _, err := baseURL(text); err != nil {
				return err
			}
			s.PublicURL = strings.TrimRight(text, "/")
			return nil
		},
		show: func(s *Settings) string { return s.PublicURL },
	}
}

// baseURL parses an address to which paths are appended. Its errors do not
// repeat the text: it may hold a password.
func baseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("not a web address, write for example https://shop.example.com")
	case u.User != nil:
		return nil, errors.New("a web address with a user name or password in it is not accepted")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("paths are appended to this address: leave out ? and # and what follows them")
	}
	return u, nil
}

func hostName() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
}

func hostsValue() value {
	return value{
		set: func(s *Settings, text string) error {
			var hosts []string
			for _, name := range splitList(text) {
				name = strings.ToLower(strings.TrimSuffix(name, "."))
				if _, err := netip.ParseAddr(name); err != nil && !hostName().MatchString(name) {
					return fmt.Errorf("%q is not a host name, write the name alone, without http:// and without a port", name)
				}
				hosts = append(hosts, name)
			}
			s.AdminHosts = hosts
			return nil
		},
		show: func(s *Settings) string { return strings.Join(s.AdminHosts, ",") },
	}
}

func proxiesValue() value {
	return value{
		set: func(s *Settings, text string) error {
			var nets []netip.Prefix
			for _, item := range splitList(text) {
				if addr, err := netip.ParseAddr(item); err == nil && addr.Zone() == "" {
					addr = addr.Unmap()
					nets = append(nets, netip.PrefixFrom(addr, addr.BitLen()))
					continue
				}
				p, err := netip.ParsePrefix(item)
				if err != nil {
					return fmt.Errorf("%q is not a network, write for example 10.0.0.0/8 or 192.0.2.7", item)
				}
				if p.Bits() == 0 {
					return fmt.Errorf("%q would trust everyone's X-Forwarded-For, name your proxies only", item)
				}
				if p != p.Masked() {
					return fmt.Errorf("%q has bits set beyond its length, did you mean %s?", item, p.Masked())
				}
				nets = append(nets, p)
			}
			s.TrustedProxies = nets
			return nil
		},
		show: func(s *Settings) string {
			var items []string
			for _, p := range s.TrustedProxies {
				items = append(items, p.String())
			}
			return strings.Join(items, ",")
		},
	}
}

// splitList splits "a, b" and drops empty items.
func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// loopbackHost reports whether a host name or address means this machine only.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
