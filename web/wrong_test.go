package web

import (
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"
)

// toldWrong finds what a page says is wrong: what stands beside a field, above a form,
// or on a page of its own.
var (
	toldWrong = regexp.MustCompile(`(?s)<(?:span|p) [^>]*role="alert"[^>]*>(.*?)</(?:span|p)>|<div [^>]*role="alert"[^>]*>(.*?)</div>|<h1[^>]*>(.*?)</h1>\s*<p[^>]*>(.*?)</p>`)
	markup    = regexp.MustCompile(`<[^>]+>`)
)

// TestWrongInputsOnThePageSayWhatToDo holds what a browser is told for what people
// send wrongly. A line that begins with > is sent, by who may; = STATUS and what
// is told follow, up to an empty line. VERSION is that of the form.
func TestWrongInputsOnThePageSayWhatToDo(t *testing.T) {
	const table = "testdata/wrong.txt"
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	var got strings.Builder
	inputs := 0
	for line := range strings.Lines(string(text)) {
		sent, ok := strings.CutPrefix(strings.TrimSpace(line), "> ")
		if !ok {
			continue
		}
		inputs++
		method, rest, _ := strings.Cut(sent, " ")
		path, form, _ := strings.Cut(strings.ReplaceAll(rest, "VERSION", versionOf(r.shops.list[0].Selection)), " ")
		w := serve(r.Admin(), request(method, path, form, "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Sec-Fetch-Site", "same-origin"))
		said := []string{}
		for _, m := range toldWrong.FindAllStringSubmatch(w.Body.String(), -1) {
			for _, part := range m[1:] {
				if words := strings.Join(strings.Fields(html.UnescapeString(markup.ReplaceAllString(part, " "))), " "); words != "" {
					said = append(said, words)
				}
			}
		}
		if w.Code < 400 || len(said) == 0 {
			t.Errorf("%s: %d, and it says nothing:\n%s", sent, w.Code, w.Body)
		}
		fmt.Fprintf(&got, "> %s\n= %d\n%s\n\n", sent, w.Code, strings.Join(said, "\n"))
	}
	if *update {
		if err := os.WriteFile(table, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(text) {
		t.Errorf("the words differ from %s; read them and run: go test ./web -run WrongInputs -update\n%s", table, got.String())
	}
	if inputs < 20 {
		t.Errorf("only %d inputs", inputs)
	}
	if len(r.shops.added) > 0 {
		t.Errorf("something was stored: %v", r.shops.added)
	}
}
