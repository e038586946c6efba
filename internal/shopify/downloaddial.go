package shopify

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// errPrivate: an answer of Shopify must not make us call into our own network.
var errPrivate = errors.New("its host is not on the public internet")

// fileTransport carries downloads from hosts other than the API's. It looks at
// the address that a name resolved to at the moment of the call, so that a name
// cannot show one address to a check and another to the call.
func fileTransport() *http.Transport {
	direct := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !public(at.Addr()) {
			return errPrivate
		}
		return nil
	}}
	// A proxy that the environment names may well be in our network; then it is
	// the proxy that resolves names, and there is only the name to look at.
	proxied := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: func(req *http.Request) (*url.URL, error) {
			via, err := http.ProxyFromEnvironment(req)
			if via != nil && err == nil && privateName(req.URL.Hostname()) {
				return nil, errPrivate
			}
			return via, err
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if isProxy(address) {
				return proxied.DialContext(ctx, network, address)
			}
			return direct.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     30 * time.Second,
	}
}

// isProxy reports whether address is that of the proxy for https.
func isProxy(address string) bool {
	via, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: "storage.googleapis.com"}})
	if err != nil || via == nil {
		return false
	}
	port := cmp.Or(via.Port(), map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[via.Scheme])
	return net.JoinHostPort(via.Hostname(), port) == address
}

// privateName reports whether a host is by its name alone not a public one.
func privateName(host string) bool {
	if at, err := netip.ParseAddr(host); err == nil {
		return !public(at)
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal")
}

// public reports whether an address is on the public internet
// (IANA special-purpose address registries).
func public(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	if !at.IsGlobalUnicast() || at.IsPrivate() || at.IsLoopback() || at.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(specialNetworks, func(n string) bool { return netip.MustParsePrefix(n).Contains(at) })
}

var specialNetworks = []string{
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fec0::/10",
}
