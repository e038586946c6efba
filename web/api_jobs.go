package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/queue"
	"stockroom/webhook"
)

// jobFilter reads state, kind, shop and topic.
func jobFilter(r *http.Request) (f queue.Filter, err error) {
	q := r.URL.Query()
	f.Kind, f.State = q.Get("kind"), queue.State(q.Get("state"))
	switch f.State {
	case "", queue.Waiting, queue.Leased, queue.Dead:
	default:
		return f, answer.Refuse(http.StatusBadRequest, "Unknown state", "state is waiting, leased or dead.")
	}
	f.Labels = map[string]string{}
	for _, name := range []string{queue.LabelShop, queue.LabelTopic} {
		if v := q.Get(name); v != "" {
			f.Labels[name] = v
		}
	}
	return f, nil
}

// JobList is a page of jobs.
type JobList struct {
	Jobs []Job   `json:"jobs"`
	Next *string `json:"next"`
}

func (s *Server) apiJobs(r *http.Request, _ httprouter.Params) (any, error) {
	f, err := jobFilter(r)
	if err != nil {
		return nil, err
	}
	after, limit, err := page(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	order := q.Get("order")
	if order != "" && order != "oldest" && order != "newest" {
		return nil, answer.Refuse(http.StatusBadRequest, "Unknown order", "order is oldest or newest.")
	}
	withData, err := yesOrNo(r, "data")
	if err != nil {
		return nil, err
	}
	f.After, f.Limit, f.NewestFirst = uint64(after), limit, order == "newest"
	jobs, next, err := s.o.Queue.List(r.Context(), f)
	if err != nil {
		return nil, err
	}
	views := make([]Job, 0, len(jobs))
	for _, j := range jobs {
		if withData {
			if whole, err := s.o.Queue.Get(r.Context(), j.ID); err == nil {
				j = whole
			}
		}
		views = append(views, viewJob(j))
	}
	return JobList{views, cursor(int64(next))}, nil
}

func jobID(p httprouter.Params) (uint64, error) {
	id, err := strconv.ParseUint(p.ByName("id"), 10, 64)
	if err != nil {
		return 0, answer.Refuse(http.StatusBadRequest, "Not a job's id", "A job's id is a number; /api/v1/jobs and stockroom queue list show them.")
	}
	return id, nil
}

func (s *Server) apiJob(r *http.Request, p httprouter.Params) (any, error) {
	id, err := jobID(p)
	if err != nil {
		return nil, err
	}
	j, err := s.o.Queue.Get(r.Context(), id)
	return viewJob(j), err
}

// actOnJob does something to one job and answers how many were changed: 0 when
// it was leased, due already or the same click came twice.
func (s *Server) actOnJob(done string, act func(context.Context, ...uint64) (int, error)) jsonView {
	return func(r *http.Request, p httprouter.Params) (any, error) {
		id, err := jobID(p)
		if err != nil {
			return nil, err
		}
		n, err := act(r.Context(), id)
		if n == 0 && err == nil {
			_, err = s.o.Queue.Get(r.Context(), id)
		}
		if err != nil {
			return nil, err
		}
		s.audit.Info("job "+done, "id", id, "changed", n)
		return map[string]int{done: n}, nil
	}
}

// actOnAll does something to every job of a filter, the dead ones without a
// state. With up_to it does so to jobs up to that id only: those that the
// caller has seen.
func (s *Server) actOnAll(done string, act func(context.Context, queue.Filter, func(queue.Job) bool) (int, error)) jsonView {
	return func(r *http.Request, _ httprouter.Params) (any, error) {
		f, err := jobFilter(r)
		if err != nil {
			return nil, err
		}
		if f.State == queue.Leased {
			return nil, answer.Refuse(http.StatusBadRequest, "Jobs in hand",
				"A job that is being worked on can't be changed; state is waiting or dead.")
		}
		last := uint64(math.MaxUint64)
		if text := r.URL.Query().Get("up_to"); text != "" {
			if last, err = strconv.ParseUint(text, 10, 64); err != nil {
				return nil, answer.Refuse(http.StatusBadRequest, "Not a job's id", "up_to is the id of the newest job that is meant.")
			}
		}
		n, err := act(r.Context(), f, func(j queue.Job) bool { return j.ID <= last })
		if err != nil {
			return nil, err
		}
		s.audit.Info("jobs "+done, "changed", n)
		return map[string]int{done: n}, nil
	}
}

// page reads after (a cursor that is a number) and limit.
func page(r *http.Request, normal, most int) (after int64, limit int, err error) {
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return 0, 0, answer.Refuse(http.StatusBadRequest, "Not a cursor",
				`after is what "next" said on the page before.`)
		}
	}
	limit, err = pageLimit(r, normal, most)
	return after, limit, err
}

// pageLimit reads limit.
func pageLimit(r *http.Request, normal, most int) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return normal, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, answer.Refuse(http.StatusBadRequest, "Limit out of range", "limit is a number from 1 to "+strconv.Itoa(most)+".")
	}
	return n, nil
}

// cursor is the value of "next": text, or null on the last page.
func cursor(id int64) *string {
	if id == 0 {
		return nil
	}
	text := strconv.FormatInt(id, 10)
	return &text
}

// Job is a job as API, pages and command line show it. Times are RFC 3339, absent
// when the thing has not happened.
type Job struct {
	queue.Job
	Shop        string    `json:"shop,omitempty"`
	Topic       string    `json:"topic,omitempty"`
	WebhookID   string    `json:"webhook_id,omitempty"`
	ReceivedAt  time.Time `json:"received_at,omitzero"` // of the webhook in it
	TriggeredAt time.Time `json:"triggered_at,omitzero"`
	// Data is the webhook's body, or the payload of another kind of job. A list
	// has it only on request.
	Data json.RawMessage `json:"data,omitempty"`
}

// viewJob turns a job into what is shown. The body is there when the job has
// its payload.
func viewJob(j queue.Job) Job {
	v := Job{Job: j, Shop: j.Labels["shop"], Topic: j.Labels["topic"], WebhookID: j.Labels["webhook_id"]}
	if j.Payload == nil {
		return v
	}
	d, err := webhook.DecodeEnvelope(j.Payload)
	if err != nil {
		v.Data = dataOf(j.Payload)
		return v
	}
	v.Shop, v.Topic, v.WebhookID = cmp.Or(v.Shop, d.Shop), cmp.Or(v.Topic, d.Topic), cmp.Or(v.WebhookID, d.WebhookID)
	v.ReceivedAt, v.TriggeredAt, v.Data = d.ReceivedAt, d.TriggeredAt, dataOf(d.Body)
	return v
}

// Why is why it waits or what failed last, "" when it says nothing.
func (j *Job) Why() string {
	return cmp.Or(j.Reason, j.LastError, j.Labels["waits_for"], j.Labels["reason"])
}

// dataOf returns bytes as JSON: as they are when they are JSON, else as a JSON
// string, with what is not UTF-8 replaced.
func dataOf(b []byte) json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	if v := jsontext.Value(b); v.IsValid() {
		return json.RawMessage(b)
	}
	quoted, err := json.Marshal(string(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
	if err != nil {
		return nil
	}
	return quoted
}

// subjectMost is the largest body that is read for the name of its product.
const subjectMost = 64 << 10

// subjectOf returns the product that a queued delivery is about: its title as
// the body has it and its id, "" and 0 when that can't be told.
func subjectOf(payload []byte) (title string, id int64) {
	d, err := webhook.DecodeEnvelope(payload)
	if err != nil || happened(d.Topic) == "" {
		return "", 0
	}
	var body struct {
		ID    json.RawMessage `json:"id"`
		Title json.RawMessage `json:"title"`
	}
	if err := json.Unmarshal(d.Body, &body); err != nil {
		return "", 0
	}
	// The body may be kept because one of these is of the wrong type.
	if err := json.Unmarshal(body.ID, &id); err != nil {
		id = 0
	}
	if err := json.Unmarshal(body.Title, &title); err != nil {
		title = ""
	}
	return title, id
}
