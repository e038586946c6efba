package shopify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stockroom/limiter"
)

// Look is what changed in a shop since an instant.
type Look struct {
	Changed []Listed // one that changed meanwhile can stand here twice
	Deleted []Deletion
	// Whole: that is all. Else there is more than was asked for, and neither list
	// is complete.
	Whole bool
	// NoEvents is why the deletions could not be listed while the changes could; nil
	// when they were.
	NoEvents error
}

// lookAnswer is one page of both lists.
type lookAnswer struct {
	Changed *connection[listedNode] `json:"changed"`
	Canary  *connection[listedNode] `json:"canary"`
	Deleted *connection[eventNode]  `json:"deleted"`
}

// Look lists the products that changed at or after since (to the second), the
// longest unchanged first, and those deleted since, the newest first; Shopify keeps
// events for a year. It asks for further pages until each list has most entries.
// Where the events alone are refused it does without them.
//
// A search with a filter that Shopify does not know, or that is broken, matches
// everything. So the same filter is asked for what cannot be there, and what it
// finds is not taken for what was asked for: the error has KindUnreadable. Events
// need no such guard: each says itself what it is and when it happened.
func (c *Client) Look(ctx context.Context, name string, class limiter.Class, since time.Time, most int) (Look, error) {
	var look Look
	changed, deleted := Walk{Most: most + 2*largestPage}, Walk{Most: most + 2*largestPage}
	for changed.More() || deleted.More() {
		if changed.entries >= most || deleted.entries >= most {
			return look, nil
		}
		in, err := c.lookOnce(ctx, name, class, since, &changed, &deleted)
		if kind := KindOf(err); deleted.More() && (kind == KindPartial || kind == KindRefused || kind == KindScope) {
			look.NoEvents, deleted.begun, deleted.more = err, true, false
			in, err = c.lookOnce(ctx, name, class, since, &changed, &deleted)
		}
		if err != nil {
			return Look{}, err
		}
		if changed.More() {
			list, err := listedOf(name, "Look", in.Changed.Nodes)
			if err = errors.Join(err, turn(&changed, name, "Look", largestPage, *in.Changed)); err != nil {
				return Look{}, err
			}
			look.Changed = append(look.Changed, list...)
		}
		if deleted.More() {
			deleted.bytes = changed.bytes // of one answer
			list, older, err := deletedOf(name, in.Deleted.Nodes, since)
			in.Deleted.PageInfo.HasNextPage = in.Deleted.PageInfo.HasNextPage && !older
			if err = errors.Join(err, turn(&deleted, name, "Look", largestPage, *in.Deleted)); err != nil {
				return Look{}, err
			}
			look.Deleted = append(look.Deleted, list...)
		}
	}
	look.Whole = true
	return look, nil
}

const noFilter = "the shop's search does not filter by time: "

// lookOnce asks for the next page of both lists.
func (c *Client) lookOnce(
	ctx context.Context, name string, class limiter.Class, since time.Time, changed, deleted *Walk,
) (in lookAnswer, err error) {
	vars := map[string]any{
		"changed": "updated_at:>=" + searchTime(since),
		"canary":  "updated_at:>=" + searchTime(since.AddDate(100, 0, 0)),
		"deleted": "action:destroy AND subject_type:PRODUCT AND created_at:>=" + searchTime(since),
		// A list that has ended is asked for no more.
		"withEvents": deleted.More(),
	}
	for _, list := range []struct {
		w            *Walk
		first, after string
	}{{changed, "products", "afterProduct"}, {deleted, "events", "afterEvent"}} {
		if vars[list.first] = largestPage; !list.w.More() {
			vars[list.first] = 1
		}
		if list.w.after != "" {
			vars[list.after] = list.w.after
		}
	}
	op := c.queries["Look"].call(vars)
	op.bytes = &changed.bytes
	unfit := func(why string) error {
		return &Error{Kind: KindUnreadable, Shop: name, Op: "Look", Message: why}
	}
	if err = c.read(ctx, name, class, op, &in); err != nil {
		var e *Error
		if errors.As(err, &e) && e.Code == badSearch && !deleted.More() { // of the products, for sure
			err = unfit(noFilter + e.Message)
		}
		return in, err
	}
	if in.Changed == nil || in.Canary == nil || in.Deleted == nil && deleted.More() {
		return in, unfit("there is no list in it")
	}
	outside := in.Canary.Nodes
	for _, n := range in.Changed.Nodes {
		if n.UpdatedAt.Unix() < since.Unix() { // as a time without its quotes finds
			outside = append(outside, n)
		}
	}
	if len(outside) > 0 {
		n := outside[0]
		return in, unfit(fmt.Sprintf(noFilter+"it found product %s of %s, which is not in the window",
			clip(strings.TrimPrefix(n.ID, "gid://shopify/Product/")), n.UpdatedAt.UTC().Format("2 Jan 2006 15:04 UTC")))
	}
	return in, nil
}

// searchTime is an instant as a search has it. Without the quotes Shopify splits
// it at its colons and finds others.
func searchTime(at time.Time) string { return at.UTC().Format("'2006-01-02T15:04:05Z'") }

type eventNode struct {
	Action      string    `json:"action"`
	CreatedAt   time.Time `json:"createdAt"`
	SubjectID   string    `json:"subjectId"`
	SubjectType string    `json:"subjectType"`
}

// deletedOf are the deletions of products among events. older tells that the last
// event is from before since. The search is not the proof: what it finds says
// itself what it is.
func deletedOf(name string, nodes []eventNode, since time.Time) (list []Deletion, older bool, err error) {
	for _, n := range nodes {
		if older = n.CreatedAt.Unix() < since.Unix(); older || n.Action != "destroy" || n.SubjectType != "PRODUCT" {
			continue
		}
		id, err := parseGID("Product", n.SubjectID)
		if err != nil {
			return nil, false, &Error{Kind: KindUnreadable, Shop: name, Op: "Look", Err: err}
		}
		list = append(list, Deletion{id, n.CreatedAt})
	}
	return list, older, nil
}

// Deletion is a product that was deleted.
type Deletion struct {
	Product int64
	At      time.Time
}
