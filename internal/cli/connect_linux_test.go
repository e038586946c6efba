package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"stockroom/internal/answer"
)

const consentShop = "wool.myshopify.com"

// owner is the API's side of a question to a shop's owner.
type owner struct {
	listens bool
	states  []string // one for each time it is asked; the last one stays
	pasted  []string
	givenUp bool
}

func (o *owner) client() *client {
	view := func(state string) map[string]any {
		view := map[string]any{"state": state, "address": "https://wool.example/authorize?state=1", "listens": o.listens, "words": "The owner said no."}
		if !o.listens {
			view["listens_not"] = "Port 3456 is taken."
		}
		if state == "connected" {
			view["found"] = map[string]any{"name": "Wool", "products": 3, "scopes": []string{"read_products"}}
		}
		return view
	}
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	const path = "/api/v1/shops/" + consentShop + "/consent"
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) { say(w, view("waiting")) })
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		state := o.states[0]
		if len(o.states) > 1 {
			o.states = o.states[1:]
		}
		say(w, view(state))
	})
	mux.HandleFunc("POST "+path+"/callback", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Address string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if o.pasted = append(o.pasted, in.Address); !strings.Contains(in.Address, "code=") {
			answer.Refuse(http.StatusConflict, "Not it", "This is not the address.").Write(w)
			return
		}
		say(w, map[string]any{"shop": consentShop, "has_secret": true})
	})
	mux.HandleFunc("DELETE "+path, func(http.ResponseWriter, *http.Request) { o.givenUp = true })
	mux.HandleFunc("GET /api/v1/shops", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"shops": []any{map[string]any{"shop": consentShop, "has_secret": true}}})
	})
	return &client{base: "http://localhost", http: &http.Client{Transport: inProcess(mux)}, dir: "/d", alone: true}
}

func TestTheAnswerOfAShopsOwnerComesByItselfOrIsPasted(t *testing.T) {
	for name, tt := range map[string]struct {
		owner owner
		how   asking
		typed string
		words string // of the error, "" for none
		found bool
	}{
		"by itself":             {owner{listens: true, states: []string{"waiting", "waiting", "connected"}}, asking{}, "", "", true},
		"read from a pipe":      {owner{states: []string{"waiting"}}, asking{Callback: "-"}, "\n http://localhost:3456/callback?code=1 \n", "", false},
		"another address":       {owner{states: []string{"waiting"}}, asking{Callback: "-"}, "http://elsewhere\n", "This is not the address.", false},
		"the owner said no":     {owner{listens: true, states: []string{"refused"}}, asking{}, "", "The owner said no.", false},
		"it can't come any way": {owner{states: []string{"waiting"}}, asking{}, "", "Port 3456 is taken. Paste the address at which the browser ends on standard input: --callback -", false},
		"the pipe ends before":  {owner{listens: true, states: []string{"waiting", "connected"}}, asking{Callback: "-"}, "", "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var talk bytes.Buffer
			e := &env{ctx: t.Context(), Process: Process{Stdin: strings.NewReader(tt.typed), Stderr: &talk}}
			out, err := e.consented(tt.owner.client(), consentShop, map[string]any{}, tt.how)
			if tt.words == "" && (err != nil || out.Shop != consentShop || (out.Found != nil) != tt.found) || tt.words != "" && (err == nil || err.Error() != tt.words) {
				t.Errorf("%s: %+v, %v", name, out, err)
			}
			if !strings.HasPrefix(tt.words, "Port") && !strings.Contains(talk.String(), "\n    https://wool.example/authorize?state=1\n") {
				t.Errorf("%s: the address is not said: %s", name, &talk)
			}
		})
	}
}

func TestAWrongAddressIsAskedForAgainOnATerminal(t *testing.T) {
	seen, tty := terminal(t, 80)
	if _, err := io.WriteString(seen, "http://elsewhere\nhttp://localhost:3456/callback?code=1\n"); err != nil {
		t.Fatal(err)
	}
	var talk bytes.Buffer
	o := owner{states: []string{"waiting"}}
	e := &env{ctx: t.Context(), Process: Process{Stdin: tty, Stderr: &talk}}
	out, err := e.consented(o.client(), consentShop, map[string]any{}, asking{Print: true})
	if err != nil || out.Shop != consentShop || len(o.pasted) != 2 {
		t.Errorf("%+v %v %q", out, err, o.pasted)
	}
	for _, want := range []string{"Port 3456 is taken. The answer is waited for until ", "paste its address here: ", "This is not the address.\nPaste the address again: "} {
		if !strings.Contains(talk.String(), want) {
			t.Errorf("%q is not said:\n%s", want, &talk)
		}
	}
}

func TestWhoeverWaitsForAShopsOwnerCanStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stdin, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer typed.Close()
	o := owner{listens: true, states: []string{"waiting"}}
	cl := o.client()
	e := &env{ctx: ctx, Process: Process{Stdin: stdin, Stderr: talkThen{cancel}}}
	if _, err := e.consented(cl, consentShop, map[string]any{}, asking{Callback: "-"}); !errors.Is(err, errStopped) || !o.givenUp {
		t.Errorf("%v, given up: %v", err, o.givenUp)
	}
}

// talkThen does something at the first word.
type talkThen struct{ do func() }

func (w talkThen) Write(p []byte) (int, error) { w.do(); return len(p), nil }
