package fakeshopify

import (
	"context"
	"slices"
	"time"
)

// advanceBulk does the work that operations have done by now. Products are
// read in the order of their ids over the whole run, each as it is when its
// turn comes, so an edit in the meantime shows in some and not in others.
func (s *Shop) advanceBulk(now time.Time) {
	for _, op := range s.api.bulk {
		if !op.active() {
			continue
		}
		if op.status == "CANCELING" {
			if !now.Before(op.cancelAt) {
				s.finishBulk(op, "CANCELED", op.cancelAt)
			}
			continue
		}
		part := float64(now.Sub(op.created)) / float64(op.duration)
		if part >= 0.05 {
			op.status = "RUNNING"
		}
		f := &op.fault
		if f.Stall {
			part = min(part, 0.5)
		}
		if f.Status != "" && part >= f.At {
			s.readBulk(op, f.At)
			s.finishBulk(op, f.Status, op.created.Add(time.Duration(f.At*float64(op.duration))))
			continue
		}
		s.readBulk(op, part)
		if part >= 1 {
			s.finishBulk(op, "COMPLETED", op.created.Add(op.duration))
		}
	}
}

// readBulk reads on until the share of the work is done.
func (s *Shop) readBulk(op *bulkOp, part float64) {
	if op.root.Name != "products" {
		if part >= 1 {
			s.readOther(op)
		}
		return
	}
	want := len(s.ids)
	if part < 1 {
		want = int(part * float64(len(s.ids)))
	}
	i, found := slices.BinarySearch(s.ids, op.cursor)
	if found {
		i++
	}
	for ; i < len(s.ids) && (op.looked < want || part >= 1); i++ {
		op.cursor = s.ids[i]
		op.looked++
		if p := s.products[op.cursor]; op.filter.match(s.api.index.search(p)) {
			op.add(object{"Product", p})
		}
	}
}

func (s *Shop) readOther(op *bulkOp) {
	v, err := op.exec.rootField(op.root)
	if c, ok := v.(*connection); ok && err == nil {
		for _, o := range c.items {
			op.add(o)
		}
	}
}

// add renders a root for the size of its lines, and forgets the text again.
func (op *bulkOp) add(o object) {
	root := int32(len(op.roots))
	op.roots = append(op.roots, o)
	children := make(map[string]int)
	for n, l := range op.exec.lines(o, op.nodeSet) {
		op.objects++
		line := bulkLine{root: root, line: int32(n), size: int32(len(l.text)), place: root}
		if n > 0 {
			children[l.parent+l.kind]++
			if op.fault.Nested > 0 && children[l.parent+l.kind] > op.fault.Nested || chance(op.rand, op.fault.DropChildren) {
				if !op.fault.CountDropped {
					op.objects--
				}
				continue
			}
			line.place += 1 + op.rand.Int32N(40)
		}
		op.lines = append(op.lines, line)
		if chance(op.rand, op.fault.Duplicate) {
			op.lines = append(op.lines, line)
		}
	}
}

func (s *Shop) finishBulk(op *bulkOp, status string, at time.Time) {
	op.status, op.completed = status, at
	if status == "FAILED" {
		op.errorCode = op.fault.ErrorCode
		if !op.fault.NoCode {
			str(&op.errorCode, "INTERNAL_SERVER_ERROR")
		}
	}
	op.layOut(s.opt.API.Bulk.Shuffle || s.opt.API.Bulk.Mix && !op.grouped)
	if !op.fault.Silent {
		s.fire(s.moment(nil), TopicBulkFinish, 0, s.bulkFinishBody(op))
	}
}

// layOut fixes the order of the lines and where each begins.
func (op *bulkOp) layOut(shuffle bool) {
	switch {
	case shuffle:
		op.rand.Shuffle(len(op.lines), func(i, j int) { op.lines[i], op.lines[j] = op.lines[j], op.lines[i] })
	case !op.grouped:
		slices.SortStableFunc(op.lines, func(a, b bulkLine) int { return int(a.place) - int(b.place) })
	}
	for i := range op.lines {
		op.lines[i].offset = op.size
		op.size += int64(op.lines[i].size)
	}
}

// bulkLoop ends operations when their time has come, so that their webhook is
// sent without anybody asking.
func (s *Shop) bulkLoop(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		s.mu.Lock()
		now := s.opt.Now()
		s.advance(now)
		wait := time.Duration(-1)
		for _, op := range s.api.bulk {
			if op.active() {
				end := op.created.Add(op.duration)
				if op.status == "CANCELING" {
					end = op.cancelAt
				}
				if d := max(end.Sub(now), 10*time.Millisecond); wait < 0 || d < wait {
					wait = d
				}
			}
		}
		s.mu.Unlock()
		var tick <-chan time.Time
		if wait >= 0 {
			t.Reset(min(wait, time.Second))
			tick = t.C
		}
		select {
		case <-ctx.Done():
			return
		case <-s.api.bulkWake:
		case <-tick:
		}
	}
}
