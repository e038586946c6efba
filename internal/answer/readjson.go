package answer

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// ReadJSON reads one JSON document without unknown members. What it says of a
// wrong one quotes names at most: a value may be a secret.
func ReadJSON(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, more := dec.Token(); more == io.EOF {
			return nil
		}
		return Refuse(http.StatusBadRequest, "Not one JSON document", "The body goes on behind its JSON document.")
	}
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &tooLarge):
		return err
	case unknown:
		if text, err := strconv.Unquote(name); err == nil {
			name = Quoted(text)
		}
		return Refuse(http.StatusBadRequest, "Unknown member", "There is no member "+name+". This path takes "+strings.Join(members(reflect.TypeOf(v)), ", ")+".")
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return Refuse(http.StatusBadRequest, "Wrong type", "The body has to be a JSON object, {...}, and is of another type.")
	case errors.As(err, &wrongType):
		return Refuse(http.StatusBadRequest, "Wrong type", "The member "+wrongType.Field+" has to be "+jsonType(wrongType.Type)+".")
	case errors.As(err, &syntax):
		return Refuse(http.StatusBadRequest, "Not JSON", "The body is no JSON from its byte "+strconv.FormatInt(syntax.Offset, 10)+" on.")
	case errors.Is(err, io.EOF):
		return Refuse(http.StatusBadRequest, "No body", "The body is empty. This path takes a JSON object with "+strings.Join(members(reflect.TypeOf(v)), ", ")+".")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Refuse(http.StatusBadRequest, "Not JSON", "The body ends before its JSON object does.")
	}
	return Refuse(http.StatusBadRequest, "Not understood", "The body is not the JSON object that this path takes. It takes "+strings.Join(members(reflect.TypeOf(v)), ", ")+".")
}

// members are the names that an object of a type may have.
func members(t reflect.Type) []string {
	var names []string
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// jsonType says what JSON writes a type as.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text, in quotation marks"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list, [...]"
	case reflect.Struct, reflect.Map:
		return "an object, {...}"
	}
	return "a whole number"
}

// Quoted shows a name from outside, cut where it is long.
func Quoted(name string) string {
	const most = 40
	if r := []rune(name); len(r) > most {
		name = string(r[:most]) + "..."
	}
	return `"` + name + `"`
}
