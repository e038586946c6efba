package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/generic"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// Message is what is told: a line and some more.
type Message struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// sender sends a message. Its error may hold the URL: see words.
type sender func(ctx context.Context, by http.RoundTripper, m Message) error

const (
	tryMost    = 10 * time.Second
	answerMost = 64 << 10 // bytes of an answer that are read
)

// Send tries once; by carries what goes by HTTP. The error is a clause that a person can
// read, and holds nothing of the URL.
func (t Target) Send(ctx context.Context, by http.RoundTripper, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, tryMost)
	defer cancel()
	if err := t.send(ctx, by, m); err != nil {
		return errors.New(words(ctx, err))
	}
	return nil
}

// post is one HTTP request.
type post struct {
	method, url, kind string
	body              []byte
	headers           map[string]string
	told              func(answer []byte) error // what a 200 may still say; nil: nothing
	denied            map[int]string            // what the service means by a status
}

// answered is a status that means that nothing was taken.
type answered struct {
	status int
	means  string // "" for what it usually does
}

func (a answered) Error() string {
	means := a.means
	switch {
	case means != "":
	case a.status < 400:
		means = "it sends elsewhere, and redirects are not followed: write the address that is meant"
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		means = "it refuses the user name, the password or the token"
	case a.status == http.StatusNotFound || a.status == http.StatusGone:
		means = "it knows no such address: compare the URL with what the service shows"
	case a.status == http.StatusTooManyRequests:
		means = "it takes no more messages for now"
	case a.status >= 500:
		means = "it has a fault"
	default:
		means = "it did not take the message"
	}
	return fmt.Sprintf("%s (status %d)", means, a.status)
}

// said is an error in our own words.
type said string

func (s said) Error() string { return string(s) }

// byPost sends by HTTP, as the environment's proxies say, and follows no redirect.
func byPost(of func(m Message) post) sender {
	return func(ctx context.Context, by http.RoundTripper, m Message) error {
		p := of(m)
		r, err := http.NewRequestWithContext(ctx, p.method, p.url, bytes.NewReader(p.body))
		if err != nil {
			return err
		}
		r.Header.Set("User-Agent", "Stockroom")
		if p.kind != "" {
			r.Header.Set("Content-Type", p.kind)
		}
		for name, value := range p.headers {
			r.Header.Set(name, value)
		}
		c := http.Client{Transport: by, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := c.Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(res.Body, answerMost))
		switch {
		case res.StatusCode >= 300:
			return answered{res.StatusCode, p.denied[res.StatusCode]}
		case err != nil || p.told == nil:
			return err
		}
		return p.told(answer)
	}
}

func inJSON(to string, body map[string]any) post {
	text, _ := json.Marshal(body) // strings, which it can always write
	return post{method: http.MethodPost, url: to, kind: "application/json", body: text}
}

func toNtfy(c *ntfy.Config, m Message) post {
	p := post{method: http.MethodPost, url: c.GetAPIURL(), kind: "text/plain; charset=utf-8", body: []byte(m.Text),
		headers: map[string]string{"Title": m.Title, "Priority": c.Priority.String()}}
	if len(c.Tags) > 0 {
		p.headers["Tags"] = strings.Join(c.Tags, ",")
	}
	if c.Username != "" || c.Password != "" {
		p.headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
	}
	return p
}

func toSlack(c *slack.Config, m Message) post {
	text := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(m.Title + "\n" + m.Text)
	if !c.Token.IsAPIToken() {
		return inJSON(c.Token.WebhookURL(), map[string]any{"text": text})
	}
	p := inJSON("https://slack.com/api/chat.postMessage", map[string]any{"text": text, "channel": c.Channel})
	p.headers = map[string]string{"Authorization": c.Token.Authorization()}
	p.told = func(answer []byte) error {
		var a slack.APIResponse
		if json.Unmarshal(answer, &a) == nil && a.Ok {
			return nil
		}
		if !regexp.MustCompile(`^[a-z_]{1,40}$`).MatchString(a.Error) {
			a.Error = "no reason"
		}
		return said("it did not take the message (" + a.Error + ")")
	}
	return p
}

func toTelegram(c *telegram.Config, chat string, m Message) post {
	p := inJSON("https://api.telegram.org/bot"+c.Token+"/sendMessage", map[string]any{
		"chat_id": chat, "text": m.Title + "\n" + m.Text, "link_preview_options": map[string]any{"is_disabled": true},
		"disable_notification": !c.Notification,
	})
	chatWrong := "the bot may not write there: open the chat with the bot, press Start, and see that its number is right"
	p.denied = map[int]string{400: chatWrong, 403: chatWrong, 401: "it knows no bot with this token", 404: "it knows no bot with this token"}
	return p
}

func toDiscord(c *discord.Config, m Message) post {
	return inJSON(discord.CreateAPIURLFromConfig(c),
		map[string]any{"content": m.Title + "\n" + m.Text, "allowed_mentions": map[string]any{"parse": []string{}}})
}

func toGeneric(s *generic.Service, headers map[string]string, m Message) post {
	c := s.Config
	p := post{method: c.RequestMethod, url: c.WebhookURL().String(), kind: "text/plain; charset=utf-8", headers: headers}
	params := types.Params{c.MessageKey: m.Title + "\n" + m.Text}
	if c.Template != "" {
		p.kind, params = c.ContentType, types.Params{c.TitleKey: m.Title, c.MessageKey: m.Text}
	}
	if body, err := s.GetPayload(c, params); err == nil {
		p.body, _ = io.ReadAll(body)
	}
	return p
}

// words says why a message was not taken, without what may hold the URL.
func words(ctx context.Context, err error) string {
	var own said
	var status answered
	var mail *textproto.Error
	var lookup *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &own):
		return string(own)
	case errors.As(err, &status):
		return status.Error()
	case errors.As(err, &mail):
		return mailWords(mail.Code)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "it did not answer within 10 seconds"
	case ctx.Err() != nil:
		return "Stockroom is stopping"
	case errors.As(err, &lookup):
		return "its name can't be looked up: see that it is right, and that this machine has a connection to the internet"
	case errors.As(err, &untrusted), errors.As(err, new(x509.UnknownAuthorityError)):
		return "its certificate is not trusted, or is another server's"
	case errors.As(err, &record):
		return "it does not speak TLS on that port"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refused the connection: see that the port is right"
	}
	return "the connection failed"
}

func mailWords(code int) string {
	means := "the mail server did not take the message"
	switch {
	case code == 530 || code == 534 || code == 535 || code == 538:
		means = "the mail server refuses the user name or the password"
	case code == 421 || code >= 450 && code < 460:
		means = "the mail server takes no message for now"
	case code == 550 || code == 551 || code == 553 || code == 501:
		means = "the mail server refuses the sender's or a recipient's address"
	}
	return fmt.Sprintf("%s (status %d)", means, code)
}
