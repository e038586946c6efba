package answer

import (
	"net/http/httptest"
	"testing"
)

func TestARefusalIsAProblemWithItsCode(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Disposition", "attachment")
	(&Refusal{Status: 503, Detail: "Not <now>.", Code: "not-now", RetryAfter: 5, More: map[string]any{"left": 2}}).Write(w)
	want := `{"code":"not-now","detail":"Not \u003cnow\u003e.","left":2,"status":503,"title":"Service Unavailable","type":"about:blank"}` + "\n"
	if w.Code != 503 || w.Body.String() != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Retry-After": "5", "Content-Disposition": "",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
}

func TestADocumentThatCannotBeEncodedIsAnErrorAndNoHalfAnswer(t *testing.T) {
	w := httptest.NewRecorder()
	if err := JSON(w, 200, map[string]any{"a": 1, "b": func() {}}); err == nil || w.Body.Len() != 0 {
		t.Errorf("%v, and %q was sent", err, w.Body)
	}
}
