package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"stockroom/internal/config"
	"stockroom/web"
)

// Listeners are the open sockets. Admin is nil when one listener serves both.
type Listeners struct {
	Public, Admin net.Listener
	// Secure says that Public speaks TLS, for these names; nil: it does not.
	Secure *Secure
	// Plain is port 80 beside Secure, nil for none.
	Plain net.Listener
	// Unplain says why there is none although there could be, "" where there is or need not be.
	Unplain string
	// Warnings are sentences for the log, about what can be done without.
	Warnings []string
	// Ready is called once by Serve, when requests are served; nil for nobody.
	Ready func()

	front *front // what answers on them, nil for nobody yet
}

// The sockets by the names that a socket unit gives them (FileDescriptorName=).
const (
	socketHTTPS = "https"
	socketHTTP  = "http"
	socketOpen  = "listen"
	socketAdmin = "admin"
)

// Listen opens the sockets the settings name, or takes those that systemd opened.
func Listen(s config.Settings) (l Listeners, err error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return l, fmt.Errorf("listen: %w", err)
	}
	open := func(name, flag, address string) net.Listener {
		if of := given[name]; len(of) == 1 {
			delete(given, name)
			return of[0]
		}
		if err != nil {
			return nil
		}
		var opened net.Listener
		opened, err = ListenOn(flag, address)
		return opened
	}
	if s.HTTPS == "" {
		l.Public = open(socketOpen, "listen", s.Listen)
	} else {
		own := len(given) == 0
		l.Secure = &Secure{Name: s.HTTPS, Admin: s.HTTPSAdmin}
		l.Public = open(socketHTTPS, "https", ":443")
		l.openPlain(given, own)
	}
	if !s.SharedListener() {
		l.Admin = open(socketAdmin, "admin-listen", s.AdminListen)
	}
	if err == nil && len(given) > 0 {
		err = notTaken(given)
	}
	if err == nil {
		return l, nil
	}
	for _, opened := range []net.Listener{l.Public, l.Admin, l.Plain} {
		if opened != nil {
			err = errors.Join(err, opened.Close())
		}
	}
	return Listeners{}, err
}

// openPlain takes port 80 where it can be had. Where systemd opens the sockets, it is
// the socket unit that says which.
func (l *Listeners) openPlain(given map[string][]net.Listener, own bool) {
	if of := given[socketHTTP]; len(of) == 1 {
		delete(given, socketHTTP)
		l.Plain = of[0]
		return
	}
	err := errors.New("the socket unit has no socket named " + socketHTTP)
	if own {
		l.Plain, err = net.Listen("tcp", ":80")
	}
	if err != nil {
		l.Plain = nil
		l.Unplain = fmt.Sprintf("nothing is served on port 80 (%v): a browser in which the address "+
			"is typed without https:// may find nothing; deliveries and certificates do not need it", err)
		l.Warnings = append(l.Warnings, l.Unplain)
	}
}

// notTaken says which of the sockets that systemd hands over nothing here uses.
func notTaken(given map[string][]net.Listener) error {
	names := slices.Sorted(maps.Keys(given))
	var errs []error
	for _, name := range names {
		for _, of := range given[name] {
			errs = append(errs, of.Close())
		}
	}
	return errors.Join(append(errs, fmt.Errorf("listen: systemd hands over sockets named %q that these settings do not "+
		"use, or more than one of a name: in the socket unit, set FileDescriptorName= to https (with http beside it) "+
		"where --https is set, else to listen, and to admin for the status page; "+
		"ListenStream=443 takes IPv4 and IPv6 in one", names))...)
}

// ListenOn listens on the address that a flag gives. Its error says what to do.
func ListenOn(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	fixed := flag == "https"
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && fixed:
		return nil, fmt.Errorf("--https: another program listens on port 443, such as a web server or proxy; stop it, or let " +
			"it have the certificate and use --listen and --public-url in place of --https")
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--%s: another program listens on %s; stop it, or choose another address with --%s",
			flag, address, flag)
	case errors.Is(err, fs.ErrPermission) && fixed:
		program, _ := os.Executable()
		return nil, fmt.Errorf("--https: this user may not listen on port 443; have systemd open it "+
			"(stockroom service install), or allow it to this program: sudo setcap cap_net_bind_service=+ep %s",
			config.ShellQuote(program))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("--%s: this user may not listen on %s; choose a port above 1023 with --%s",
			flag, address, flag)
	case err != nil:
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return l, nil
}

// AnswerStarting answers on the listeners from now on: with 503 and with how far
// o has come, until an appliance serves on them.
func (l *Listeners) AnswerStarting(o *Opening, log *slog.Logger) {
	starting := web.Starting(o.Words)
	l.front = newFront(*l, log, starting, starting)
}

// Close closes the listeners when no appliance will serve on them.
func (l *Listeners) Close() error {
	if l.front != nil {
		return l.front.close()
	}
	var errs []error
	for _, of := range []net.Listener{l.Public, l.Admin, l.Plain} {
		if of != nil {
			errs = append(errs, of.Close())
		}
	}
	return errors.Join(errs...)
}

// AdminURL is an address of the status page that this machine can open.
func (l Listeners) AdminURL() string {
	if l.Admin == nil {
		return "http://" + dialable(l.Public.Addr())
	}
	return "http://" + dialable(l.Admin.Addr())
}

// WebhooksURL is where deliveries are taken.
func (l Listeners) WebhooksURL() string {
	base := "http://" + l.Public.Addr().String()
	if l.Secure != nil {
		base = "https://" + l.Secure.Name
	}
	return base + "/webhooks/shopify/products"
}
