package web

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
)

// queryNames are the parameters of the query that each operation of the API
// takes, in its description's order. The keys are those of operationKey.
func queryNames() map[string][]string {
	type parameter struct {
		Ref  string `json:"$ref"`
		Name string `json:"name"`
		In   string `json:"in"`
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []parameter `json:"parameters"`
		} `json:"paths"`
		Components struct {
			Parameters map[string]parameter `json:"parameters"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		panic(err) // the document is part of the program
	}
	names := map[string][]string{}
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			list := []string{}
			for _, p := range operation.Parameters {
				if p.Ref != "" {
					p = doc.Components.Parameters[p.Ref[strings.LastIndex(p.Ref, "/")+1:]]
				}
				if p.In == "query" {
					list = append(list, p.Name)
				}
			}
			names[strings.ToUpper(method)+" "+path] = list
		}
	}
	return names
}

// yesOrNo reads a parameter that is true or false; left out it is false.
func yesOrNo(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	yes, err := strconv.ParseBool(cmp.Or(text, "false"))
	if err != nil {
		return false, answer.Refuse(http.StatusBadRequest, "Not yes or no", name+" is true or false.")
	}
	return yes, nil
}

// operationKey is the method and the path as the description writes it.
func operationKey(line route) string {
	parts := strings.Split(line.path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return line.method + " " + strings.Join(parts, "/")
}

// onlyKnown refuses a query with a parameter that is none: a filter with a slip
// in its name would otherwise list, retry or discard everything.
func onlyKnown(known []string, serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return answer.Refuse(http.StatusBadRequest, "Not understood", "The part of the address behind the question mark is not escaped rightly.")
		}
		for _, name := range slices.Sorted(maps.Keys(query)) {
			switch {
			case !slices.Contains(known, name):
				takes := "This path takes none."
				if len(known) > 0 {
					takes = "This path takes " + strings.Join(known, ", ") + "."
				}
				return answer.Refuse(http.StatusBadRequest, "Unknown parameter", "There is no parameter "+answer.Quoted(name)+". "+takes)
			case len(query[name]) > 1:
				return answer.Refuse(http.StatusBadRequest, "Parameter given twice", "Give the parameter "+answer.Quoted(name)+" once.")
			}
		}
		return serve(w, r, p)
	}
}

// openAPI describes every path below /api/v1. A test holds the handlers to it.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) apiDescription(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	w.Header().Set("Cache-Control", "no-cache") // nothing in it is secret
	answer.Document(w, http.StatusOK, openAPI)
	return nil
}
