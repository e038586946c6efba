package web

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"
)

const (
	eventsPause = 500 * time.Millisecond // least time between two events to one page
	lookEvery   = 500 * time.Millisecond // least time between two looks at what can't wake us
	eventsBeat  = 3 * time.Second        // after which an open page is told that it is current; without it the page says so after 10 s
)

// changeEvent tells an open page that what it shows may have changed.
type changeEvent struct {
	Seq    int64    `json:"seq"`    // newest number of the change feed
	Topics []string `json:"topics"` // deliveries, products, jobs, syncs, shops, status
}

// seen is what an open page was told of last.
type seen struct {
	seq, deliveries   int64
	jobs, syncs, shop uint64
	status            uint64
}

// topics says what differs from before.
func (now seen) topics(before seen) (list []string) {
	for _, t := range [...]struct {
		name    string
		differs bool
	}{
		{"deliveries", now.deliveries != before.deliveries}, {"products", now.seq != before.seq}, {"jobs", now.jobs != before.jobs},
		{"syncs", now.syncs != before.syncs}, {"shops", now.shop != before.shop}, {"status", now.status != before.status},
	} {
		if t.differs {
			list = append(list, t.name)
		}
	}
	return list
}

// events is the live stream of the pages. Commits wake it; jobs, syncs and the
// state of shops are looked at twice a second, once for all who listen.
func (s *Server) events(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", eventStreamTyp)
		return nil
	}
	release, err := s.streams.takePlace()
	if err != nil {
		return err
	}
	defer release()
	told := s.look(r.Context())
	st, err := beginStream(w)
	if err != nil || st.send([]byte(ping)) != nil {
		return nil // the reader is gone
	}
	s.tellChanges(r.Context(), st, told)
	return nil
}

const ping = "event: ping\ndata: {}\n\n"

func (s *Server) tellChanges(ctx context.Context, st *stream, told seen) {
	beat, look := time.NewTimer(eventsBeat), time.NewTicker(lookEvery)
	defer beat.Stop()
	defer look.Stop()
	for {
		wake := s.o.Store.Watch()
		now := s.look(ctx)
		topics := now.topics(told)
		if len(topics) > 0 {
			data, err := json.Marshal(changeEvent{Seq: now.seq, Topics: topics})
			if err != nil || st.send(fmt.Appendf(nil, "event: change\ndata: %s\n\n", data)) != nil {
				return
			}
			told = now
			beat.Reset(eventsBeat)
			select { // however much happens
			case <-time.After(eventsPause):
			case <-s.streams.ending:
				return
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case <-wake:
		case <-look.C:
		case <-beat.C:
			if st.send([]byte(ping)) != nil {
				return
			}
			beat.Reset(eventsBeat)
		case <-s.streams.ending:
			return
		case <-ctx.Done():
			return
		}
	}
}

// look returns what may be told of. The costly part is shared by all who listen.
func (s *Server) look(ctx context.Context) seen {
	now := s.sight.get(ctx, s)
	now.seq, now.deliveries = s.o.Store.LastSeq(), s.o.Store.DeliveriesSeen()
	return now
}

// sight keeps the last look at jobs, syncs and shops for a moment.
type sight struct {
	mu   sync.Mutex
	last seen
	next time.Time
}

// get looks again when lookEvery is over, and spends at most a twentieth of the
// time on it.
func (g *sight) get(ctx context.Context, s *Server) seen {
	g.mu.Lock()
	defer g.mu.Unlock()
	began := time.Now()
	if began.Before(g.next) {
		return g.last
	}
	g.last.jobs = s.jobsPrint()
	g.last.syncs, g.last.shop, g.last.status = s.shopsPrint(ctx, began, g.last)
	g.next = time.Now().Add(max(lookEvery-10*time.Millisecond, 20*time.Since(began)))
	return g.last
}

// jobsPrint is a fingerprint of the queue.
func (s *Server) jobsPrint() uint64 {
	h := fnv.New64a()
	st := s.o.Queue.Stats()
	fmt.Fprintln(h, st.Waiting, st.Leased, st.Dead, st.Damaged, st.Counts)
	for _, name := range slices.Sorted(maps.Keys(st.Kinds)) {
		k := st.Kinds[name]
		fmt.Fprintln(h, name, k.Waiting, k.Leased, k.Dead)
	}
	return h.Sum64()
}

// shopsPrint is a fingerprint of how the shops compare and of how everything
// stands. Ages, which change automatically, are not part of it.
func (s *Server) shopsPrint(ctx context.Context, now time.Time, last seen) (syncs, shops, stand uint64) {
	a := s.o.Status.Read(ctx, now)
	if a.ShopsErr != nil {
		return last.syncs, last.shop, last.status
	}
	compared, connected, lines := fnv.New64a(), fnv.New64a(), fnv.New64a()
	for _, l := range a.Lines {
		fmt.Fprintln(lines, l.Code, l.Shop, l.Text)
	}
	for _, v := range a.Shops {
		fmt.Fprintln(connected, v.Shop, v.State, v.Reason, v.Selection.String(), v.HasSecret, v.HasToken)
		if c := v.Calls; c != nil {
			fmt.Fprintln(connected, c.Circuit, c.Held, c.Used)
		}
		st := v.Sync
		if st == nil {
			continue
		}
		fmt.Fprintln(compared, v.Shop, st.ProvenIDs, st.ProvenFields, st.Remote, st.Subscriptions.CheckedAt, st.Subscriptions.Present, st.Subscriptions.Error)
		if run := st.Running; run != nil {
			fmt.Fprintln(compared, *run)
		}
		for _, p := range st.Schedules {
			fmt.Fprintln(compared, p.Name, p.LastStart, p.LastSuccess, p.LastError, p.Running, p.Late)
		}
	}
	return compared.Sum64(), connected.Sum64(), lines.Sum64()
}
