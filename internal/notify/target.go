package notify

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/generic"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"stockroom/internal/config"
)

// Target is where messages go, or what is told from time to time that all works.
type Target struct {
	Name string // scheme and host, which is all of its URL that is ever shown
	ping bool
	send sender
}

// service is what reads the URLs of one kind, and how they look.
type service struct {
	like string
	read func(u *url.URL) ([]Target, error)
}

func services() map[string]service {
	web := service{"generic://example.com/path", readGeneric}
	ping := service{"ping+https://hc-ping.com/ID", readPing}
	return map[string]service{
		"smtp":     {"smtp://USER:PASSWORD@mail.example.com:587/?from=ME@example.com&to=YOU@example.com", readMail},
		"ntfy":     {"ntfy://ntfy.sh/TOPIC", readNtfy},
		"slack":    {"slack://hook:AAA-BBB-CCC@webhook", readSlack},
		"telegram": {"telegram://TOKEN@telegram?chats=NUMBER", readTelegram},
		"discord":  {"discord://TOKEN@NUMBER", readDiscord},
		"generic":  web, "generic+https": web, "generic+http": web, "https": web, "http": web,
		"ping+https": ping, "ping+http": ping,
	}
}

// Parse reads URLs, some a line; a line that begins with # is a remark. Its errors say
// which line is wrong and repeat nothing of it.
func Parse(urls config.Secret) ([]Target, error) {
	var all []Target
	var errs []error
	names := map[string]int{}
	for i, line := range strings.Split(urls.Reveal(), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for text := range strings.FieldsSeq(line) {
			list, err := parseOne(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("notify-file: line %d: %w", i+1, err))
			}
			for _, t := range list {
				if names[t.Name]++; names[t.Name] > 1 {
					t.Name += " (" + strconv.Itoa(names[t.Name]) + ")"
				}
				all = append(all, t)
			}
		}
	}
	return all, errors.Join(errs...)
}

var errUnchecked = errors.New("it turns off the check of the server's certificate, which is not done; take that out")

func parseOne(text string) ([]Target, error) {
	u, err := url.Parse(pasted(text))
	if err != nil {
		return nil, errors.New("it is no URL; write for example ntfy://ntfy.sh/TOPIC")
	}
	s, known := services()[u.Scheme]
	if !known {
		return nil, errors.New("it does not begin with a service that is known: smtp, ntfy, slack, telegram, discord, " +
			"generic or https, each with :// after it")
	}
	list, err := s.read(u)
	switch {
	case errors.Is(err, errUnchecked):
		return nil, fmt.Errorf("%s: %w", u.Scheme, err)
	case err != nil: // which may hold the URL
		return nil, fmt.Errorf("%s: it can't be used as it is written; write it like %s", u.Scheme, s.like)
	}
	return list, nil
}

// pasted makes of an address that Slack or Discord shows the URL that means the same.
func pasted(text string) string {
	if rest, ok := strings.CutPrefix(text, "https://hooks.slack.com/services/"); ok {
		return "slack://hook:" + strings.ReplaceAll(rest, "/", "-") + "@webhook"
	}
	rest, ok := strings.CutPrefix(text, "https://discord.com/api/webhooks/")
	if id, token, two := strings.Cut(rest, "/"); ok && two {
		return "discord://" + token + "@" + id
	}
	return text
}

// initialized reads a URL as shoutrrr does.
func initialized(s types.Service, u *url.URL) error {
	copied := *u // some change it
	return s.Initialize(&copied, nil)
}

func readMail(u *url.URL) ([]Target, error) {
	s := new(smtp.Service)
	err := initialized(s, u)
	if err == nil && s.Config.SkipTLSVerify {
		err = errUnchecked
	}
	if err != nil || s.Config.Host == "" {
		return nil, errors.Join(err, errMissing(s.Config.Host))
	}
	s.Config.FixEmailTags()
	return []Target{{Name: "smtp://" + s.Config.Host, send: byMail(s.Config)}}, nil
}

func readNtfy(u *url.URL) ([]Target, error) {
	s := new(ntfy.Service)
	err := initialized(s, u)
	if err == nil && s.Config.DisableTLSVerification {
		err = errUnchecked
	}
	if err != nil || u.Host == "" {
		return nil, errors.Join(err, errMissing(u.Host))
	}
	return []Target{{Name: "ntfy://" + u.Host, send: byPost(func(m Message) post { return toNtfy(s.Config, m) })}}, nil
}

func readSlack(u *url.URL) ([]Target, error) {
	s := new(slack.Service)
	if err := initialized(s, u); err != nil {
		return nil, err
	}
	name := "slack://hooks.slack.com"
	if s.Config.Token.IsAPIToken() {
		name = "slack://slack.com"
	}
	return []Target{{Name: name, send: byPost(func(m Message) post { return toSlack(s.Config, m) })}}, nil
}

// readTelegram makes a target of each chat, so that one that fails holds up no other.
func readTelegram(u *url.URL) (list []Target, err error) {
	s := new(telegram.Service)
	if err := initialized(s, u); err != nil {
		return nil, err
	}
	for _, chat := range s.Config.Chats {
		list = append(list, Target{Name: "telegram://api.telegram.org",
			send: byPost(func(m Message) post { return toTelegram(s.Config, chat, m) })})
	}
	return list, nil
}

func readDiscord(u *url.URL) ([]Target, error) {
	s := new(discord.Service)
	if err := initialized(s, u); err != nil {
		return nil, err
	}
	return []Target{{Name: "discord://discord.com", send: byPost(func(m Message) post { return toDiscord(s.Config, m) })}}, nil
}

func readGeneric(u *url.URL) ([]Target, error) {
	s := new(generic.Service)
	if u.Scheme != generic.Scheme {
		own, err := s.GetConfigURLFromCustom(u)
		if err != nil {
			return nil, err
		}
		u = own
	}
	if err := initialized(s, u); err != nil || u.Host == "" {
		return nil, errors.Join(err, errMissing(u.Host))
	}
	headers := map[string]string{}
	for key, values := range u.Query() {
		if name, is := strings.CutPrefix(key, string(generic.HeaderPrefixChar)); is {
			headers[name] = values[0]
		}
	}
	return []Target{{Name: "generic://" + u.Host, send: byPost(func(m Message) post { return toGeneric(s, headers, m) })}}, nil
}

func readPing(u *url.URL) ([]Target, error) {
	to := *u
	to.Scheme = strings.TrimPrefix(u.Scheme, "ping+")
	if u.Host == "" {
		return nil, errMissing(u.Host)
	}
	return []Target{{Name: u.Scheme + "://" + u.Host, ping: true, send: byPost(func(Message) post {
		return post{method: "GET", url: to.String()}
	})}}, nil
}

func errMissing(host string) error {
	if host == "" {
		return errors.New("no host")
	}
	return nil
}
