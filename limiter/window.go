package limiter

// exactEntries is how many entries a log keeps one per instant; beyond it,
// entries of the same 1/256 of the window are kept as one, at the later time.
const exactEntries = 256

// entry is points that leave the window at at+span.
type entry struct {
	at     int64 // tick, ns
	points int64
}

// window is a log of points in order of time and its running sum. It holds the
// points of (t-span, t]: an entry leaves exactly span after its instant.
type window struct {
	span int64
	sum  int64
	head int // log[:head] has left
	log  []entry
}

// add logs points at t, which is not before the last entry.
func (w *window) add(t, points int64) {
	if points <= 0 {
		return
	}
	w.sum += points
	if n := len(w.log); n > w.head {
		last := &w.log[n-1]
		if last.at >= t {
			last.points += points
			return
		}
		if slot := max(w.span/exactEntries, 1); n-w.head >= exactEntries && last.at/slot == t/slot {
			// later, never earlier: merging may only hold points longer
			last.at, last.points = t, last.points+points
			return
		}
	}
	if w.head > 32 && w.head*2 > len(w.log) {
		w.log = w.log[:copy(w.log, w.log[w.head:])]
		w.head = 0
	}
	w.log = append(w.log, entry{t, points})
}

// expire drops what has left by t.
func (w *window) expire(t int64) {
	for w.head < len(w.log) && w.log[w.head].at+w.span <= t {
		w.sum -= w.log[w.head].points
		w.head++
	}
	if w.head == len(w.log) && w.head > 0 {
		w.head = 0
		if cap(w.log) > exactEntries {
			w.log = nil // an idle shop keeps no log
		} else {
			w.log = w.log[:0]
		}
	}
}

// freeAt is the instant at which need points have left; false when the log
// does not hold so many.
func (w *window) freeAt(need int64) (int64, bool) {
	for _, e := range w.log[w.head:] {
		need -= e.points
		if need <= 0 {
			return e.at + w.span, true
		}
	}
	return 0, false
}

// live is what the window holds, oldest first.
func (w *window) live() []entry { return w.log[w.head:] }
