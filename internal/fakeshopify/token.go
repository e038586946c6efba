package fakeshopify

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// serveToken gives tokens for client id and secret, or for the code of a consent.
func (s *Shop) serveToken(w http.ResponseWriter, r *http.Request) {
	now := s.opt.Now()
	request := s.requestID(now)
	w.Header().Set("X-Request-Id", request)
	if f := s.fault("token"); f != nil {
		switch f.Kind {
		case FaultTruncate, FaultSlow:
			w = &damagedWriter{ResponseWriter: w, r: r, fault: f, left: f.Bytes}
		default:
			if serveFault(w, r, f, request, func() members { return nil }) {
				return
			}
		}
	}
	in := tokenRequest(r)
	s.mu.Lock()
	answer, refusal := s.grant(in, now)
	s.mu.Unlock()
	if refusal != "" {
		s.refuse(w, refusal)
		return
	}
	answerTree(w, answer)
}

// grant gives an app a token, or says why not.
func (s *Shop) grant(in url.Values, now time.Time) (answer members, refusal string) {
	fresh := in.Get("client_secret") == s.secret
	old := s.oldSecret != "" && in.Get("client_secret") == s.oldSecret && now.Before(s.rotatedAt.Add(s.opt.RotationWindow))
	switch {
	case !s.knows(in.Get("client_id")):
		return nil, refuseApp
	case !fresh && !old:
		return nil, refuseSecret
	case in.Has("code"):
		return s.exchange(in, now)
	case in.Get("grant_type") != "client_credentials":
		return nil, refuseGrant
	case s.opt.API.Grant != GrantCredentials:
		return nil, refusePermission
	case s.api.uninstalled:
		return nil, refuseInstall
	}
	token, life := s.newToken(), s.opt.API.TokenLife
	s.api.tokens[token] = now.Add(life)
	s.api.stats.TokenGrants++
	return members{{"access_token", token}, {"scope", strings.Join(s.api.scopes, ",")},
		{"expires_in", max(int(life/time.Second)-1, 1)}}, ""
}

func (s *Shop) newToken() string { return "shpat_" + strings.ReplaceAll(uuid(s.api.rand), "-", "") }

// tokenRequest reads a form or a JSON object of strings.
func tokenRequest(r *http.Request) url.Values {
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		var m map[string]string
		if json.Unmarshal(b, &m) != nil {
			return nil
		}
		v := make(url.Values)
		for k, x := range m {
			v.Set(k, x)
		}
		return v
	}
	v, err := url.ParseQuery(string(b))
	if err != nil {
		return nil
	}
	return v
}

// ExpireTokens ends every token of the client credentials grant now.
func (s *Shop) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, end := range s.api.tokens {
		if !end.IsZero() {
			delete(s.api.tokens, t)
		}
	}
}

// SetTokens replaces the tokens that never expire, that of a consent too, as a
// merchant does who makes a new one and revokes the old. Without any it only revokes.
func (s *Shop) SetTokens(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, end := range s.api.tokens {
		if end.IsZero() {
			delete(s.api.tokens, t)
		}
	}
	for _, t := range tokens {
		s.api.tokens[t] = time.Time{}
	}
	s.opt.API.Tokens = tokens
}

func (s *Shop) serveScopes(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r) {
		answerJSON(w, http.StatusUnauthorized, statusBody(401))
		return
	}
	s.mu.Lock()
	list := []any{}
	for _, h := range s.api.scopes {
		list = append(list, members{{"handle", h}})
	}
	s.mu.Unlock()
	answerTree(w, members{{"access_scopes", list}})
}
