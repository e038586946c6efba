package cli

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnAnswerThatBreaksOffIsNotTakenForAll(t *testing.T) {
	get := func(h http.HandlerFunc) (*http.Response, []byte, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: inProcess(h)}).Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return res, body, err
	}
	res, body, err := get(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "whole") })
	if err != nil || string(body) != "whole" || res.StatusCode != 200 {
		t.Errorf("%d %q %v", res.StatusCode, body, err)
	}
	_, body, err = get(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 10))
		panic(http.ErrAbortHandler)
	})
	if !errors.Is(err, errBrokeOff) {
		t.Errorf("%d bytes read without an error", len(body))
	}
	if _, _, err = get(func(http.ResponseWriter, *http.Request) { panic("boom") }); !errors.Is(err, errBrokeOff) {
		t.Errorf("a panic before the answer began: %v", err)
	}
}
