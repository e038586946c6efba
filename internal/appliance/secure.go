package appliance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/certs"
	"stockroom/internal/status"
)

// What a client over TLS may hold. A connection costs more than one without, and by
// HTTP/2 it has several requests; their heads are read before anything of ours sees them.
const (
	secureMost  = 200             // connections
	streamsMost = 6               // requests of one of them at one time by HTTP/2, as browsers do by HTTP/1.1
	secureHead  = 4 << 10         // bytes of the head of a request
	secureAhead = 64 << 10        // of bodies that nobody has read yet, a connection
	plainMost   = 64              // connections of port 80
	shakeMost   = 5 * time.Second // for a handshake to wait for the data dir
)

// Secure are the names under which a listener speaks TLS.
type Secure struct {
	Name  string // of the public side
	Admin string // of the admin side, "" for none
}

// secure gets certificates until the function that it returns is called.
func (a *Appliance) secure(ctx context.Context, s *secured, l Listeners) (end func()) {
	names := []string{s.Name}
	if s.Admin != "" {
		names = append(names, s.Admin)
	}
	o := certs.Options{
		Folder: a.dir.Folder(), Names: names, Directory: a.opt.Settings.ACMEDirectory, Logger: a.log,
		TLSPort: portOf(l.Public),
	}
	if l.Plain != nil {
		o.HTTPPort = portOf(l.Plain)
	}
	c := certs.New(o)
	a.certs.Store(c)
	s.use(c)
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	return func() {
		stop()
		running.Wait()
		c.Close()
	}
}

// certificates are those of our own names, none where it does not serve HTTPS.
func (a *Appliance) certificates() (list []status.Certificate) {
	c, s := a.certs.Load(), a.opt.Settings
	if c == nil {
		return nil
	}
	for _, one := range c.States(time.Now()) {
		list = append(list, status.Certificate{State: one, Awaited: one.Name == s.HTTPS && !s.Pull()})
	}
	return list
}

func portOf(l net.Listener) int {
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return at.Port
}

// secured is what a front knows of TLS.
type secured struct {
	Secure
	plain door          // port 80
	ready chan struct{} // closed when there are certificates
	tls   *tls.Config   // then
}

func newSecured(names Secure) *secured {
	s := &secured{Secure: names, ready: make(chan struct{})}
	s.plain.set(s.redirect())
	return s
}

// use hands over the certificates, and answers the authority on port 80.
func (s *secured) use(c *certs.Certs) {
	s.tls = c.TLS()
	s.plain.set(c.Challenges(s.redirect()))
	close(s.ready)
}

// config is how to speak TLS. A handshake that comes before the data dir is open waits
// for that, as long as handshakes may take.
func (s *secured) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			ctx, cancel := context.WithTimeout(hello.Context(), shakeMost)
			defer cancel()
			select {
			case <-s.ready:
				return s.tls, nil
			case <-ctx.Done():
				return nil, fmt.Errorf("the data dir is not open yet: %w", ctx.Err())
			}
		},
	}
}

// split sends requests to one side or the other by the name that was asked for in the
// handshake. The Host has to be the same: a client may use a connection for another name
// when the certificate has that too, which ours never have.
func (s *secured) split(public, admin http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", admit.StaySecure)
		server := strings.ToLower(r.TLS.ServerName)
		switch {
		case admit.HostOf(r.Host) != server:
			answer.Refuse(http.StatusMisdirectedRequest, "Another host name",
				"The connection was made for "+server+". Make another one for this name.").Write(w)
		case s.Admin != "" && server == s.Admin:
			paced(admin).ServeHTTP(w, r)
		default:
			paced(public).ServeHTTP(w, r)
		}
	})
}

// redirect sends browsers from port 80 to HTTPS. What is not a mere read is refused: it
// was sent in the clear already, and whoever sends it has to learn that.
func (s *secured) redirect() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := admit.HostOf(r.Host)
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			answer.Refuse(http.StatusMethodNotAllowed, "Not encrypted",
				"Nothing is taken without encryption. Use https:// in place of http://.").Write(w)
		case host == "" || host != s.Name && host != s.Admin:
			answer.Refuse(http.StatusMisdirectedRequest, "Unknown host name",
				"This server does not answer to that host name.").Write(w)
		default:
			w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
			w.WriteHeader(http.StatusPermanentRedirect)
		}
	})
}

// serve has srv speak TLS.
func (s *secured) serve(srv *http.Server, on net.Listener) error {
	srv.MaxHeaderBytes = secureHead
	srv.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: streamsMost, MaxReceiveBufferPerConnection: secureAhead,
		MaxReceiveBufferPerStream: secureAhead, MaxReadFrameSize: 16 << 10, WriteByteTimeout: writeMost,
	}
	srv.TLSConfig = s.config()
	return srv.ServeTLS(on, "", "")
}

// paced gives each piece of an answer by HTTP/2 the time that conn gives it otherwise: a
// client there can be slow for one request by granting no room for its answer, which no
// deadline of the connection ends.
func paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		p := &pacedWriter{w, http.NewResponseController(w)}
		next.ServeHTTP(p, r)
		_ = p.control.SetWriteDeadline(time.Now().Add(writeMost)) // for what is left of the answer
	})
}

type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Unwrap is for http.ResponseController.
func (p *pacedWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *pacedWriter) Write(b []byte) (n int, err error) {
	for {
		var m int
		err := p.inTime(func() (err error) {
			m, err = p.ResponseWriter.Write(b[n:min(len(b), n+writePiece)])
			return err
		})
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

var _ interface{ FlushError() error } = (*pacedWriter)(nil) // which http.ResponseController looks for

// FlushError sends what was written.
func (p *pacedWriter) FlushError() error { return p.inTime(p.control.Flush) }

// inTime has a step end in time; a stream of events may be silent for longer.
func (p *pacedWriter) inTime(step func() error) error {
	err := p.control.SetWriteDeadline(time.Now().Add(writeMost))
	if err == nil {
		err = step()
	}
	return errors.Join(err, p.control.SetWriteDeadline(time.Time{}))
}
