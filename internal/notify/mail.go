package notify

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"net/smtp"
	"strconv"
	"strings"
	"time"

	shoutrrr "github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
)

// byMail sends by SMTP. All of it ends when the context does.
func byMail(c *shoutrrr.Config) sender {
	return func(ctx context.Context, _ http.RoundTripper, m Message) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		secure := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
		ours := c.Encryption == shoutrrr.EncImplicitTLS ||
			c.Encryption == shoutrrr.EncAuto && c.Port == shoutrrr.ImplicitTLSPort
		if ours {
			conn = tls.Client(conn, secure)
		}
		s, err := smtp.NewClient(conn, c.Host)
		if err != nil {
			return fmt.Errorf("greet: %w", err)
		}
		defer s.Close()
		if c.ClientHost != "auto" {
			if err := s.Hello(c.ClientHost); err != nil {
				return err
			}
		}
		if offered, _ := s.Extension("STARTTLS"); offered && !ours && c.UseStartTLS && c.Encryption != shoutrrr.EncNone {
			if err := s.StartTLS(secure); err != nil {
				return err
			}
		}
		if err := logIn(s, c); err != nil {
			return err
		}
		return write(s, c, m)
	}
}

// logIn gives the password, but not in the clear over a network.
func logIn(s *smtp.Client, c *shoutrrr.Config) error {
	_, encrypted := s.TLSConnectionState()
	here := c.Host == "localhost" || net.ParseIP(c.Host).IsLoopback()
	if !encrypted && (c.RequireStartTLS || c.Username != "" && !here) {
		return said("the mail server offers no encryption, so nothing was sent; " +
			"use its port for TLS, most often 465 or 587")
	}
	switch c.Auth {
	case shoutrrr.AuthPlain:
		return s.Auth(smtp.PlainAuth("", c.Username, c.Password, c.Host))
	case shoutrrr.AuthCRAMMD5:
		return s.Auth(smtp.CRAMMD5Auth(c.Username, c.Password))
	case shoutrrr.AuthOAuth2:
		return s.Auth(shoutrrr.OAuth2Auth(c.Username, c.Password))
	}
	return nil
}

// write hands the message over.
func write(s *smtp.Client, c *shoutrrr.Config, m Message) error {
	if err := s.Mail(c.FromAddress); err != nil {
		return err
	}
	for _, to := range c.ToAddresses {
		if err := s.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := s.Data()
	if err != nil {
		return err
	}
	from := mail.Address{Name: c.FromName, Address: c.FromAddress}
	head := []string{
		"From: " + from.String(), "To: " + strings.Join(c.ToAddresses, ", "), "Subject: " + m.Title,
		"Date: " + time.Now().Format(time.RFC1123Z), "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: quoted-printable", "Auto-Submitted: auto-generated", "", "",
	}
	if _, err := io.WriteString(w, strings.Join(head, "\r\n")); err != nil {
		return err
	}
	body := quotedprintable.NewWriter(w)
	if _, err := io.WriteString(body, m.Text+"\n"); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = s.Quit() // it is taken by now
	return nil
}
