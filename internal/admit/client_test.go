package admit

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestAddressBehindTrustedProxies(t *testing.T) {
	trusted := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("127.0.0.1/32")}
	for name, test := range map[string]struct {
		remote    string
		forwarded []string
		trusted   bool
		want      string
	}{
		"straight":                         {"192.0.2.7:1", nil, true, "192.0.2.7"},
		"a stranger's header says nothing": {"192.0.2.7:1", []string{"198.51.100.1"}, true, "192.0.2.7"},
		"no proxy is trusted by default":   {"10.0.0.1:1", []string{"198.51.100.1"}, false, "10.0.0.1"},
		"through one proxy":                {"10.0.0.1:1", []string{"198.51.100.1"}, true, "198.51.100.1"},
		"the last that is no proxy counts": {"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1, 10.9.9.9"}, true, "198.51.100.1"},
		"several headers are one list":     {"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1"}, true, "198.51.100.1"},
		"nonsense ends the list":           {"10.0.0.1:1", []string{"198.51.100.1, unknown"}, true, "10.0.0.1"},
		"nonsense behind a proxy":          {"10.0.0.1:1", []string{"nonsense, 10.0.0.2"}, true, "10.0.0.2"},
		"only proxies":                     {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, true, "10.0.0.3"},
		"no header":                        {"10.0.0.1:1", nil, true, "10.0.0.1"},
		"an IPv6 peer":                     {"[2001:db8::7%eth0]:1", nil, true, "2001:db8::7"},
		"an IPv4 address in IPv6 form":     {"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, true, "198.51.100.1"},
		"a tunnel on this machine":         {"[::1]:1", []string{"2001:db8::9"}, true, "2001:db8::9"},
		"an address that is none":          {"@", nil, true, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			var proxies Proxies
			if test.trusted {
				proxies = trusted
			}
			r := httptest.NewRequest("POST", "/", nil)
			r.RemoteAddr = test.remote
			for _, v := range test.forwarded {
				r.Header.Add("X-Forwarded-For", v)
			}
			if got := proxies.Client(r); got.String() != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
