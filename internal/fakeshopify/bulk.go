package fakeshopify

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// BulkOptions concern bulk operations.
type BulkOptions struct {
	// Base is how long the smallest operation takes. Zero: 1 s.
	Base time.Duration
	// Rate is how many root objects are read per second beyond that.
	// Zero: 10,000.
	Rate float64
	// BaseURL is where results are fetched, without a slash at its end; the
	// path is /bulk/... on Handler. Empty: where the API itself was called.
	BaseURL string
	// URLLife is how long a result's URL is good after the answer that named
	// it, and never beyond 7 days after the end. Zero: 7 days.
	URLLife time.Duration
	// Shuffle puts all lines into a random order, children before parents too.
	// False: with groupObjects children follow their parent directly; without,
	// they come somewhere after it.
	Shuffle bool
	// Mix does so with results that were not asked to be grouped only, whose
	// order nobody promises.
	Mix bool
}

func (o *BulkOptions) defaults() {
	if o.Base <= 0 {
		o.Base = time.Second
	}
	if o.Rate <= 0 {
		o.Rate = 10_000
	}
	if o.URLLife <= 0 {
		o.URLLife = bulkKept
	}
}

const (
	maxBulkRunning = 5
	bulkKept       = 7 * 24 * time.Hour
	maxBulkQuery   = 65_535 // bytes
)

// BulkFault is what goes wrong with one bulk operation.
type BulkFault struct {
	// Status is how it ends: FAILED, CANCELED or EXPIRED. Empty: COMPLETED.
	Status string
	// ErrorCode goes with FAILED: ACCESS_DENIED, INTERNAL_SERVER_ERROR or
	// TIMEOUT. Empty: INTERNAL_SERVER_ERROR, with NoCode none.
	ErrorCode string
	NoCode    bool
	// At is the share of its work after which Status comes, 0 to 1. What was
	// read until then is behind partialDataUrl of a FAILED one.
	At float64
	// Stall keeps it running until it is cancelled.
	Stall bool
	// Nested is the most children that each parent keeps in the file, the rest
	// is missing silently. Zero: all.
	Nested int
	// DropChildren is the share of child lines that are missing.
	DropChildren float64
	// CountDropped counts missing lines in objectCount all the same.
	CountDropped bool
	// Duplicate is the share of lines that are there twice, uncounted.
	Duplicate float64
	// CountOff and RootCountOff are added to objectCount and rootObjectCount.
	CountOff, RootCountOff int
	// CutAt ends the file at this byte, cleanly; fileSize tells the full
	// length. Zero: not cut.
	CutAt int64
	// Silent sends no bulk_operations/finish.
	Silent bool
}

// FailBulk queues faults for the next bulk operations, one each.
func (s *Shop) FailBulk(next ...BulkFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.bulkFaults = append(s.api.bulkFaults, next...)
}

// bulkOp is a bulk query. All of it is guarded by the shop's lock.
type bulkOp struct {
	id                 int64
	query              string
	status, errorCode  string
	created, completed time.Time
	duration           time.Duration
	cancelAt           time.Time // the end of CANCELING
	grouped            bool
	fault              BulkFault
	rand               *rand.Rand

	exec    *exec // renders lines
	root    *fieldGroup
	nodeSet ast.SelectionSet
	filter  *query
	cursor  int64 // the last product id that was looked at
	looked  int   // products looked at

	roots   []object // read so far; immutable values
	lines   []bulkLine
	objects int
	size    int64 // of the whole file, once it is laid out
	cache   map[int32][][]byte
}

// bulkLine is one line of the result: line n of what its root renders to.
type bulkLine struct {
	root, line int32
	size       int32
	place      int32 // in an ungrouped file, a root's number or a little more
	offset     int64
}

func (op *bulkOp) active() bool {
	return op.status == "CREATED" || op.status == "RUNNING" || op.status == "CANCELING"
}

func (s *Shop) bulkByID(id int64) *bulkOp {
	for _, op := range s.api.bulk {
		if op.id == id {
			return op
		}
	}
	return nil
}

func (e *exec) bulkRun(f *fieldGroup) any {
	s := e.s
	refuse := func(code, message string, field any) any {
		return object{"BulkOperationRunQueryPayload", members{{"bulkOperation", nil}, {"userErrors", []any{
			object{"BulkOperationUserError", members{{"code", code}, {"field", field}, {"message", message}}}}}}}
	}
	text := argString(f, "query")
	op := &bulkOp{query: text, status: "CREATED", created: e.now, grouped: argBool(f, "groupObjects")}
	if problem := e.bulkCheck(op, text); problem != "" {
		return refuse("INVALID", problem, []any{"query"})
	}
	var running []string
	for _, x := range s.api.bulk {
		if x.active() {
			running = append(running, gid("BulkOperation", x.id))
		}
	}
	if len(running) >= maxBulkRunning {
		return refuse("OPERATION_IN_PROGRESS", "Bulk query operations for this app and shop are already in progress: "+
			strings.Join(running, ", ")+".", nil)
	}
	op.id = s.idSource.next(idBulk, false)
	op.rand = stream(s.opt.Seed^uint64(op.id), streamBulk)
	op.duration = s.opt.API.Bulk.Base + time.Duration(float64(len(s.ids))/s.opt.API.Bulk.Rate*float64(time.Second))
	if len(s.api.bulkFaults) > 0 {
		op.fault = s.api.bulkFaults[0]
		s.api.bulkFaults = s.api.bulkFaults[1:]
	} else if chance(op.rand, s.opt.Chaos.BulkFault) {
		op.fault = pick(op.rand, []BulkFault{
			{Status: "FAILED", At: 0.5}, {Status: "FAILED", ErrorCode: "TIMEOUT", At: 0.9}, {Status: "CANCELED", At: 0.3},
			{Nested: 2}, {DropChildren: 0.1}, {Duplicate: 0.05}, {Silent: true}, {DropChildren: 0.02, CountDropped: true},
		})
	}
	if !e.allowed(scopeOf[op.root.Name]) {
		op.fault = BulkFault{Status: "FAILED", ErrorCode: "ACCESS_DENIED"}
	}
	s.api.bulk = append(s.api.bulk, op)
	select {
	case s.api.bulkWake <- struct{}{}:
	default:
	}
	return object{"BulkOperationRunQueryPayload", members{{"bulkOperation", object{"BulkOperation", op}}, {"userErrors", []any{}}}}
}

func (e *exec) bulkCancel(f *fieldGroup) any {
	kind, id, _ := splitGID(argString(f, "id"))
	op := e.s.bulkByID(id)
	switch {
	case op == nil || kind != "BulkOperation":
		return payload("BulkOperationCancelPayload", "bulkOperation", nil, userErrors([]any{"id"}, "Bulk operation does not exist"))
	case !op.active():
		return payload("BulkOperationCancelPayload", "bulkOperation", object{"BulkOperation", op},
			userErrors(nil, "A bulk operation cannot be canceled when it is "+strings.ToLower(op.status)))
	}
	if op.status != "CANCELING" {
		op.status, op.cancelAt = "CANCELING", e.now.Add(time.Second)
	}
	return payload("BulkOperationCancelPayload", "bulkOperation", object{"BulkOperation", op}, nil)
}

func (e *exec) bulkList(f *fieldGroup) (any, *gqlError) {
	text, _ := f.args["query"].(string)
	q := parseQuery(text, "id", "status", "operation_type", "created_at")
	e.warn(f.Alias, text, q)
	var list []*bulkOp
	for _, op := range slices.Backward(e.s.api.bulk) { // newest first
		if q.match(func(field string) ([]any, bool) {
			switch field {
			case "id":
				return []any{op.id}, true
			case "status":
				return []any{enumWord(strings.ToLower(op.status))}, true
			case "operation_type":
				return []any{enumWord("query")}, true
			case "created_at":
				return []any{op.created}, true
			}
			return nil, false
		}) {
			list = append(list, op)
		}
	}
	down := !argBool(f, "reverse")
	if !down {
		slices.Reverse(list)
	}
	return e.page(f, listing{typ: "BulkOperation", n: len(list), down: down,
		item: func(i int) object { return object{"BulkOperation", list[i]} },
		key:  func(i int) orderKey { return orderKey{id: list[i].id} }}, maxPage)
}

func (e *exec) bulkField(op *bulkOp, f *fieldGroup) any {
	switch f.Name {
	case "id":
		return gid("BulkOperation", op.id)
	case "status":
		return op.status
	case "type":
		return "QUERY"
	case "query":
		return op.query
	case "createdAt":
		return utc(op.created)
	case "completedAt":
		if !op.completed.IsZero() {
			return utc(op.completed)
		}
	case "errorCode":
		if op.errorCode != "" {
			return op.errorCode
		}
	case "objectCount":
		return strconv.Itoa(op.objects + op.fault.CountOff)
	case "rootObjectCount":
		return strconv.Itoa(len(op.roots) + op.fault.RootCountOff)
	case "fileSize":
		if op.size > 0 {
			return strconv.FormatInt(op.size, 10)
		}
	case "url":
		if op.status == "COMPLETED" && op.size > 0 {
			return e.s.bulkURL(op, e.now, e.base)
		}
	case "partialDataUrl":
		if op.status == "FAILED" && op.size > 0 {
			return e.s.bulkURL(op, e.now, e.base)
		}
	}
	return nil
}
