package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"stockroom/internal/answer"
	"strings"

	"github.com/julienschmidt/httprouter"
)

//go:embed assets/*
var assetFiles embed.FS

//go:embed templates/*.html
var templateFiles embed.FS

// assets are the files the pages load, under names that carry a hash of their
// content: they may be cached for ever.
type assets struct {
	byName map[string]asset
	url    map[string]string             // plain name to path
	pages  map[string]*template.Template // by file name, each with the frame
}

type asset struct {
	kind string
	body []byte
}

func loadAssets() *assets {
	a := &assets{byName: map[string]asset{}, url: map[string]string{}}
	for _, file := range []struct{ name, kind string }{
		{"stockroom.css", "text/css; charset=utf-8"},
		{"stockroom.js", "text/javascript; charset=utf-8"},
		{"icon.svg", "image/svg+xml"},
		{"icon-past.svg", "image/svg+xml"}, // of a page that is not known to be current
	} {
		body, err := assetFiles.ReadFile("assets/" + file.name)
		if err != nil {
			panic(err) // embedded at build time
		}
		body = slim(body)
		sum := sha256.Sum256(body)
		stem, ext, _ := strings.Cut(file.name, ".")
		hashed := stem + "-" + hex.EncodeToString(sum[:6]) + "." + ext
		a.byName[hashed] = asset{kind: file.kind, body: body}
		a.url[file.name] = "/assets/" + hashed
	}
	base := template.Must(template.New("").Funcs(pageFuncs()).Funcs(template.FuncMap{
		"asset": func(name string) string { return a.url[name] },
	}).ParseFS(templateFiles, "templates/base.html", "templates/parts.html"))
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // embedded at build time
	}
	a.pages = map[string]*template.Template{}
	for _, f := range files {
		a.pages[f.Name()] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, "templates/"+f.Name()))
	}
	return a
}

// slim takes indents and lines of comment out of a file: they are for those who
// read the source.
func slim(body []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) && !bytes.HasPrefix(line, []byte("/*")) {
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func (s *Server) asset(w http.ResponseWriter, _ *http.Request, p httprouter.Params) error {
	file, ok := s.assets.byName[p.ByName("name")]
	if !ok {
		return answer.Refuse(http.StatusNotFound, "Not found", "There is no such file; reload the page.")
	}
	w.Header().Set("Content-Type", file.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(file.body)
	return nil
}
