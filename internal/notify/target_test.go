package notify

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"

	"stockroom/internal/config"
)

const (
	slackHook = "hook:TAAAAAAAA-BBBBBBBBB-hunter2hunter2hunter2hun"
	botToken  = "123456789:hunter2-hunter2-hunter2-hunter2-abc"
)

func TestOfAURLOnlySchemeAndHostAreShown(t *testing.T) {
	targets, err := Parse(config.NewSecret(strings.Join([]string{
		"# who is told", "",
		"smtp://me:hunter2@mail.test:587/?from=me@mail.test&to=you@mail.test,us@mail.test",
		"ntfy://me:hunter2@ntfy.test/hunter2", "ntfy://ntfy.test/hunter2",
		"slack://" + slackHook + "@webhook", "slack://xoxb:TAAAAAAAA-BBBBBBBBB-hunter2hunter2hunter2hun@CHANNEL",
		"https://hooks.slack.com/services/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",
		"telegram://" + botToken + "@telegram?chats=-1,2",
		"discord://hunter2@123 https://discord.com/api/webhooks/123/hunter2",
		"generic://web.test:8443/hunter2?@Authorization=hunter2&token=hunter2", "https://me:hunter2@web.test/hunter2",
		"ping+https://hc.test/hunter2",
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, target := range targets {
		names = append(names, target.Name)
	}
	want := []string{
		"smtp://mail.test", "ntfy://ntfy.test", "ntfy://ntfy.test (2)", "slack://hooks.slack.com", "slack://slack.com", "slack://hooks.slack.com (2)",
		"telegram://api.telegram.org", "telegram://api.telegram.org (2)", "discord://discord.com", "discord://discord.com (2)",
		"generic://web.test:8443", "generic://web.test", "ping+https://hc.test",
	}
	if !slices.Equal(names, want) {
		t.Errorf("shown are\n%v, want\n%v", names, want)
	}
}

func TestAURLThatIsWrongIsNamedByItsLineAndNotRepeated(t *testing.T) {
	for text, want := range map[string]string{
		"hunter2":                                     "does not begin with a service",
		"hunter2:123456":                              "does not begin with a service",
		"ntfy://hunter2":                              "ntfy: it can't be used as it is written; write it like ntfy://ntfy.sh/TOPIC",
		"ntfy:///hunter2":                             "ntfy: it can't be used",
		"telegram://hunter2@telegram":                 "telegram: it can't be used",
		"slack://hunter2@webhook":                     "slack: it can't be used",
		"discord://hunter2":                           "discord: it can't be used",
		"smtp://me:hunter2@mail.test":                 "smtp: it can't be used",
		"generic://?hunter2=1":                        "generic: it can't be used",
		"ping+https:hunter2":                          "ping+https: it can't be used",
		"ntfy://a:hunter2@%zz/x":                      "it is no URL",
		"ntfy://x/hunter2?hunter2=1":                  "ntfy: it can't be used",
		"ntfy://x/y?priority=hunter2":                 "ntfy: it can't be used",
		"ntfy://x/hunter2?disabletlsverification=yes": "it turns off the check of the server's certificate",
		"smtp://me:hunter2@m.test/?from=a@m.test&to=b@m.test&skiptlsverify=yes": "it turns off the check",
	} {
		_, err := Parse(config.NewSecret("# one\nntfy://ntfy.sh/x\n" + text))
		if err == nil || !strings.HasPrefix(err.Error(), "notify-file: line 3: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

var greeting = Message{Title: "Stockroom: needs attention", Text: "It is <so> & says Größe.\n.\nTwo."}

func TestEachServiceGetsWhatItAsksFor(t *testing.T) {
	parsed := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	var s slack.Service
	var g telegram.Service
	var d discord.Service
	var n ntfy.Service
	for _, err := range []error{
		initialized(&s, parsed("slack://"+slackHook+"@webhook")), initialized(&g, parsed("telegram://"+botToken+"@telegram?chats=7")),
		initialized(&d, parsed("discord://token@123")), initialized(&n, parsed("ntfy://me:pw@ntfy.test/topic?priority=high&tags=house")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		p         post
		url, body string
	}{
		{toSlack(s.Config, greeting), "https://hooks.slack.com/services/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", `attention\nIt is \u0026lt;so\u0026gt; \u0026amp; says`},
		{toTelegram(g.Config, "7", greeting), "https://api.telegram.org/bot" + botToken + "/sendMessage", `"chat_id":"7"`},
		{toDiscord(d.Config, greeting), "https://discord.com/api/webhooks/123/token", `"content":"Stockroom: needs attention\nIt is`},
		{toNtfy(n.Config, greeting), "https://ntfy.test/topic", greeting.Text},
	} {
		if tt.p.url != tt.url || !strings.Contains(string(tt.p.body), tt.body) {
			t.Errorf("%s gets %s, want %s with %s", tt.p.url, tt.p.body, tt.url, tt.body)
		}
	}
	if h := toNtfy(n.Config, greeting).headers; h["Title"] != greeting.Title || h["Priority"] != "High" || h["Tags"] != "house" || h["Authorization"] != "Basic bWU6cHc=" {
		t.Errorf("ntfy gets the headers %v", h)
	}
}

func one(t *testing.T, text string) Target {
	t.Helper()
	list, err := Parse(config.NewSecret(text))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

func TestATryFollowsNoRedirectAndSaysWhyItFailedWithoutTheURL(t *testing.T) {
	followed, status := false, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/elsewhere"
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere?hunter2")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "your secret is hunter2")
	}))
	target := one(t, strings.Replace(srv.URL, "http://", "generic+http://", 1)+"/hunter2?token=hunter2")
	for code, want := range map[int]string{
		200: "", 204: "", 301: "redirects are not followed", 307: "redirects are not followed", 400: "did not take the message (status 400)",
		401: "refuses the user name, the password or the token (status 401)", 404: "no such address", 429: "no more messages for now", 503: "it has a fault",
	} {
		status = code
		err := target.Send(t.Context(), nil, greeting)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
	srv.Close()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, tt := range []struct {
		ctx    context.Context
		target Target
		want   string
	}{
		{t.Context(), target, "it refused the connection: see that the port is right"},
		{late, target, "it did not answer within 10 seconds"},
		{t.Context(), one(t, "generic+http://hunter2.invalid/hunter2"), "its name can't be looked up"},
	} {
		if err := tt.target.Send(tt.ctx, nil, greeting); err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // that the client does not trust it
	secure.StartTLS()
	defer secure.Close()
	if err := one(t, secure.URL+"/hunter2").Send(t.Context(), nil, greeting); fmt.Sprint(err) != "its certificate is not trusted, or is another server's" {
		t.Error(err)
	}
}

// mailServer answers one session, and has what it was told.
func mailServer(t *testing.T, answers map[string]string) (address string, told func() string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	all := make(chan string, 1)
	go func() {
		var b strings.Builder
		defer func() { all <- b.String() }()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 mail.test\r\n")
		in, body := bufio.NewScanner(conn), false
		for in.Scan() {
			line := in.Text()
			b.WriteString(line + "\n")
			word, _, _ := strings.Cut(line, " ")
			switch {
			case body && line != ".":
				continue
			case body:
				body = false
				fmt.Fprint(conn, "250 ok\r\n")
			case answers[word] != "":
				fmt.Fprint(conn, answers[word]+"\r\n")
			case word == "EHLO":
				fmt.Fprint(conn, "250-mail.test\r\n250 AUTH PLAIN\r\n")
			case word == "AUTH":
				fmt.Fprint(conn, "235 ok\r\n")
			case word == "DATA":
				body = true
				fmt.Fprint(conn, "354 go on\r\n")
			default:
				fmt.Fprint(conn, "250 ok\r\n")
			}
		}
	}()
	return l.Addr().String(), func() string { _ = l.Close(); return <-all }
}

func TestMailIsSentToAllAndRefusalsAreSaid(t *testing.T) {
	at, told := mailServer(t, nil)
	url := "/?from=me@mail.test&fromname=Stockroom&to=you@mail.test,us@mail.test"
	if err := one(t, "smtp://me:hunter2@"+at+url).Send(t.Context(), nil, greeting); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"MAIL FROM:<me@mail.test>", "RCPT TO:<you@mail.test>", "RCPT TO:<us@mail.test>", `From: "Stockroom" <me@mail.test>`,
		"Subject: Stockroom: needs attention", "It is <so> & says Gr=C3=B6=C3=9Fe.", "\n..\n", "Two.",
	} {
		if text := told(); !strings.Contains(text, part) {
			t.Fatalf("%q is missing in\n%s", part, text)
		} else {
			told = func() string { return text }
		}
	}
	for answer, want := range map[string]string{
		"AUTH 535 hunter2": "the mail server refuses the user name or the password (status 535)",
		"RCPT 550 hunter2": "the mail server refuses the sender's or a recipient's address (status 550)",
		"DATA 451 hunter2": "the mail server takes no message for now (status 451)",
	} {
		word, line, _ := strings.Cut(answer, " ")
		at, _ := mailServer(t, map[string]string{word: line})
		if err := one(t, "smtp://me:hunter2@"+at+url).Send(t.Context(), nil, greeting); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
	}
}
