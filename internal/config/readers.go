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
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// A reader reads what a person wrote for a setting.
type reader func(s Setting, text string) (any, error)

// readers are by the tag type of a setting.
func readers() map[string]reader {
	return map[string]reader{
		"text":     func(_ Setting, text string) (any, error) { return text, nil },
		"folder":   readFolder,
		"address":  readAddress,
		"names":    listOf(readName),
		"networks": listOf(readNetwork),
		"count":    ranged(readCount, "not a whole number from"),
		"duration": ranged(ParseDuration, "out of range, use"),
		"size":     ranged(ParseSize, "out of range, use"),

		"size, percent":      readRoom,
		"true or false":      readBool,
		"auto, text or json": oneOf("a log format", LogAuto, LogText, LogJSON),
		"auto or off":        oneOf("known", WebhooksAuto, WebhooksOff),
		"version":            readVersion,
		"api-base":           readAPIBase,
		"public-url":         readPublicURL,
		"host name":          readHostName,
		"acme-directory":     readDirectory,

		"word":     func(_ Setting, text string) (any, error) { return text, checkWord(text) },
		"password": readSecret(checkPassword),
		"secret":   readSecret(checkWord),

		"secret file":  func(_ Setting, text string) (any, error) { return text, checkSecretPath(text) },
		"filed secret": readSecret(checkWord), // its file is a setting of its own
		"URLs":         readSecret(func(string) error { return nil }),
	}
}

// readFolder makes a path that must be given absolute, so that whoever is told of
// it finds it from everywhere.
func readFolder(_ Setting, text string) (any, error) {
	if text == "" {
		return nil, errors.New("must not be empty")
	}
	return filepath.Abs(text)
}

// readAddress reads host:port to listen on.
func readAddress(_ Setting, text string) (any, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address, write host:port, for example 127.0.0.1:8080", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return nil, fmt.Errorf("%q has no usable port, write a number from 1 to 65535, or 0 for any free one", text)
	}
	if host != "" && !isHost(strings.ToLower(host)) {
		return nil, fmt.Errorf("%q has no usable host, write an IP address, localhost or nothing for all addresses", text)
	}
	return text, nil
}

// isHost reports whether name is an IP address or a host's name in lower case.
func isHost(name string) bool {
	const label = `[a-z0-9]([a-z0-9-]*[a-z0-9])?`
	_, err := netip.ParseAddr(name)
	return err == nil || regexp.MustCompile(`^`+label+`(\.`+label+`)*$`).MatchString(name)
}

// ranged reads a number that lies in the setting's range.
func ranged[T cmp.Ordered](parse func(string) (T, error), wrong string) reader {
	return func(s Setting, text string) (any, error) {
		n, err := parse(text)
		if err != nil {
			return nil, err
		}
		limits, orZero := strings.CutSuffix(s.limits, ", or 0")
		least, most, _ := strings.Cut(limits, " to ")
		low, _ := parse(least)
		high, _ := parse(most)
		if zero := *new(T); (n < low || n > high) && (n != zero || !orZero) {
			return nil, fmt.Errorf("%q is %s %s", text, wrong, s.limits)
		}
		return n, nil
	}
}

// readCount reads a whole number. What is none becomes one that no range holds:
// the answer to both is the range.
func readCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		n = -1
	}
	return n, nil
}

// Room is an amount of a disk's room: bytes, percent of the disk, or both, of
// which the larger counts. 0 is no limit.
type Room struct {
	Bytes   int64
	Percent int
}

// String writes the amount as it is read.
func (r Room) String() string {
	var items []string
	if r.Bytes > 0 {
		items = append(items, FormatSize(r.Bytes))
	}
	if r.Percent > 0 {
		items = append(items, strconv.Itoa(r.Percent)+"%")
	}
	return cmp.Or(strings.Join(items, ","), "0")
}

func readRoom(_ Setting, text string) (any, error) {
	items := splitList(text)
	if len(items) == 0 || len(items) > 2 {
		return nil, fmt.Errorf("%q is not an amount of room, write for example 1GiB, 5%% or 1GiB,5%%", text)
	}
	var room Room
	for i, item := range items {
		number, isShare := strings.CutSuffix(item, "%")
		if i > 0 && isShare == strings.HasSuffix(items[0], "%") {
			return nil, fmt.Errorf("%q names two amounts of a kind, write for example 1GiB,5%%", text)
		}
		var err error
		if !isShare {
			if room.Bytes, err = ParseSize(item); err != nil {
				return nil, err
			}
			continue
		}
		if room.Percent, err = strconv.Atoi(strings.TrimSpace(number)); err != nil || room.Percent < 0 || room.Percent > 50 {
			return nil, fmt.Errorf("%q is out of range, use a whole number from 0%% to 50%%", item)
		}
	}
	return room, nil
}

func readBool(_ Setting, text string) (any, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", text)
}

// oneOf reads one of some words; what says what they are.
func oneOf(what string, words ...string) reader {
	return func(s Setting, text string) (any, error) {
		if !slices.Contains(words, text) {
			return nil, fmt.Errorf("%q is not %s, use %s", text, what, s.Unit)
		}
		return text, nil
	}
}

// minPassword is the least length of the admin password in bytes; the value is
// the minimum of OWASP ASVS 5.0, 6.2.1.
const minPassword = 8

func checkPassword(text string) error {
	if n := len(text); n < minPassword || n > 1024 {
		return fmt.Errorf("the password has %d characters, use at least %d", n, minPassword)
	}
	return nil
}

func readSecret(check func(text string) error) reader {
	return func(_ Setting, text string) (any, error) { return NewSecret(text), check(text) }
}

// checkWord refuses what was copied with more than the value.
func checkWord(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return errors.New("it has a space or a line break in it, copy it again")
	}
	return nil
}

// checkSecretPath refuses what may be the secret itself; its error does not repeat it.
func checkSecretPath(text string) error {
	if strings.Contains(text, "://") {
		return errors.New("it takes the path of a file, and this is a URL, which may hold a password: others can read " +
			"command lines and settings. Write it into a file that only you can read, and name that file")
	}
	return nil
}

func readVersion(_ Setting, text string) (any, error) {
	if !regexp.MustCompile(`^20[0-9]{2}-(01|04|07|10)$`).MatchString(text) {
		return nil, fmt.Errorf("%q is not a version of the Admin API, write YYYY-MM with the month 01, 04, 07 or 10, "+
			"for example 2026-10", text)
	}
	return text, nil
}

func readAPIBase(_ Setting, text string) (any, error) {
	// The placeholder is no valid part of a host name.
	u, err := baseURL(strings.ReplaceAll(text, "{shop}", "example.myshopify.com"))
	if err == nil && u.Scheme != "https" && !loopbackHost(u.Hostname()) {
		err = errors.New("access tokens go to this address: it must begin with https:// unless it is on this machine")
	}
	return strings.TrimRight(text, "/"), err
}

func readPublicURL(_ Setting, text string) (any, error) {
	if text == "" {
		return text, nil
	}
	u, err := baseURL(text)
	if err != nil {
		return text, err
	}
	// In one form, so that it compares with what Shopify lists.
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	return strings.TrimRight(u.String(), "/"), nil
}

// readHostName reads a name that an authority can give a certificate for. Whoever
// writes the web address means the name in it.
func readHostName(_ Setting, text string) (any, error) {
	name := strings.TrimRight(strings.TrimPrefix(strings.ToLower(text), "https://"), "/.")
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	switch ascii, invalid := idna.Lookup.ToASCII(name); {
	case text == "":
		return text, nil
	case err == nil:
		return text, fmt.Errorf("%q is an address; write a name that leads to it, for example shop.example.com", text)
	case strings.Contains(name, "*"):
		return text, fmt.Errorf("%q stands for many names, write the one under which this machine is reached", text)
	case strings.Contains(name, ":"):
		return text, fmt.Errorf("%q has a port in it; write the name alone, HTTPS is served on port 443", text)
	case invalid != nil || !isHost(ascii) || !strings.Contains(ascii, "."):
		return text, fmt.Errorf("%q is not a public host name, write for example shop.example.com", text)
	default:
		return ascii, nil
	}
}

func readDirectory(_ Setting, text string) (any, error) {
	u, err := baseURL(text)
	if err == nil && u.Scheme != "https" && !loopbackHost(u.Hostname()) {
		err = errors.New("it must begin with https:// unless it is on this machine")
	}
	return text, err
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

// listOf reads items with commas between them.
func listOf[T any](read func(item string) (T, error)) reader {
	return func(_ Setting, text string) (any, error) {
		var all []T
		for _, item := range splitList(text) {
			one, err := read(item)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
		return all, nil
	}
}

func readName(item string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(item, "."))
	if !isHost(name) {
		return "", fmt.Errorf("%q is not a host name, write the name alone, without http:// and without a port", name)
	}
	return name, nil
}

// readNetwork reads an address or a network.
func readNetwork(item string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(item); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(item)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is not a network, write for example 10.0.0.0/8 or 192.0.2.7", item)
	case p.Bits() == 0:
		return p, fmt.Errorf("%q would trust everyone's X-Forwarded-For, name your proxies only", item)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits set beyond its length, did you mean %s?", item, p.Masked())
	}
	return p, nil
}

// splitList splits "a, b" and drops empty items.
func splitList(text string) []string {
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return slices.DeleteFunc(items, func(item string) bool { return item == "" })
}

// loopbackHost reports whether a host name or address means this machine only.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
