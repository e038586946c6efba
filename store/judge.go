package store

import (
	"time"

	"stockroom/internal/catalog"
)

// A change is judged here, by what was read before, and carried out elsewhere.
// Order is by the body's updated_at, to the second (catalog/product.go): a delivery
// that is older than what is stored is stale. Two contents of one second are
// decided by a fetch; until then the one triggered later stands. A read of the
// shop is placed the same way, and besides by when it began: it speaks for
// everything that was written before.

// matter is one change as it is judged: what is stored, what arrived, and where
// it came from.
type matter struct {
	shop string
	id   int64
	p    *catalog.Product // nil: the product is gone
	o    origin
	now  int64

	h     head
	open  difference // zero for none
	other owner      // another shop's row of this id, zero for none
	// leftOut: the selection leaves the product out by its id. byRules: it looks at
	// the product's fields.
	leftOut, byRules bool

	// What follows is read when the times do not decide.
	old        *catalog.Product // what is stored, every field; nil: nothing, or it was not needed
	unreadable bool             // something is stored, and can't be read
	full       *catalog.Product // p, with what it lacks taken from old
	hash       string           // full's
	selected   bool
	unjudged   bool // the selection's rules need fields that p lacks
	passed     bool // a newer version was passed over by the rules
	compared   bool // the whole catalogue was compared after this version was made
}

// owner is the shop that holds a product's id, and whether a read of it showed the
// product.
type owner struct {
	shop string
	read bool
}

// verdict is what becomes of a change.
type verdict struct {
	outcome Outcome
	reason  string
	want    *Wanted
	do      action
	closes  bool // it answers what was open of the product
	takes   bool // the other shop's row goes

	p, full     *catalog.Product // what is written
	distrust    bool             // every variant is written, whatever its row hash says
	retriggered bool             // the stored content was triggered again later in its second
	fed         bool             // learn: it is reported in the change feed, and the images and what is not hashed are written

	drift   DriftKind // how the copy differed from what was read, "" for not
	diff    []catalog.FieldDiff
	refused difference // what stands against a read for now; zero: nothing
	err     error
}

// action is what the writer does.
type action uint8

const (
	keep     action = iota
	passOver        // note that the rules did not match this version
	confirm         // note that a read showed the stored version
	learn           // take what the stored version lacks and its hash leaves out
	insert
	update
	erase
)

// judge is the one place that decides what becomes of a change. It reads nothing
// and changes nothing.
func judge(m *matter) verdict {
	if m.p == nil {
		return m.gone()
	}
	if v, decided := m.byTime(); decided {
		return v
	}
	if m.h.id == 0 {
		return m.fresh()
	}
	return m.known()
}

func stale(reason string) verdict { return verdict{outcome: Stale, reason: reason} }

// fetching adds the fetch of the product to a verdict.
func (v verdict) fetching(m *matter, reason string) verdict {
	v.want = m.fetch(reason)
	return v
}

func (m *matter) fetch(reason string) *Wanted {
	return &Wanted{Shop: m.shop, Kind: WantProduct, ID: m.id, Reason: reason}
}

// writtenSince reports whether the row may have been written after the read
// began, so that the read can't speak for it. A row from the future was written
// under a clock that has been set back since; it proves nothing.
func (m *matter) writtenSince() bool {
	return m.h.id != 0 && m.h.syncedAt >= m.o.started && m.h.syncedAt <= m.now
}

// apart is how the version that arrived lies to the stored one: negative when it
// is older, 0 in the same second or when one of them has no time.
func (m *matter) apart() int64 {
	version, known := m.p.UpdatedAt.Get()
	if !known || !m.h.hasVersion {
		return 0
	}
	return catalog.Second(version) - catalog.Second(m.h.updatedAt)
}

func (m *matter) older() bool { return m.apart() < 0 }

// tied: both have a time, of the same second.
func (m *matter) tied() bool {
	_, timed := m.p.UpdatedAt.Get()
	return timed && m.h.hasVersion && m.apart() == 0
}

// byTime decides by times alone, before the stored content is read.
func (m *matter) byTime() (v verdict, decided bool) {
	_, timed := m.p.UpdatedAt.Get()
	h, read := &m.h, m.o.authoritative
	buried := h.tombstone != 0
	switch {
	case buried && !(read && (m.o.started > h.tombstone || h.tombstone > m.now)):
		return stale(deletedForGood), true
	case h.id == 0:
		return v, false
	case !timed && !read:
		return stale("the body has no updated_at, so its place in the order is unknown; the product is fetched").
			fetching(m, "a body without updated_at arrived"), true
	case m.older() && (!read || m.writtenSince()):
		return stale("a newer version is stored"), true
	case !h.selected && !read && m.leftOut:
		return verdict{outcome: Ignored, reason: notSelected}, true
	}
	return v, false
}

const (
	notSelected    = "the product is not selected"
	deletedForGood = "the product was deleted, and Shopify never uses a product id again"
)

// fresh judges a product that has no row.
func (m *matter) fresh() verdict {
	read := m.o.authoritative
	v := verdict{outcome: Applied, do: insert, closes: true, drift: DriftMissing, takes: m.other.shop != ""}
	switch {
	case v.takes && (!read || m.other.read):
		return verdict{err: ErrOtherShop}
	case m.unjudged && !read:
		v = verdict{outcome: Applied, reason: "the selection's rules need fields that the body lacks; the product is fetched"}
		return v.fetching(m, "a new product's body lacks what the selection's rules look at")
	case !m.selected:
		return m.ignored(v.takes)
	case m.h.tombstone > m.now && m.o.started <= m.h.tombstone:
		// Written under a clock that was put back since, so it proves little.
		if r, refused := m.refuse(m.h.tombstone, "it was deleted here later"); refused {
			r.takes = v.takes
			return r
		}
	case m.passed:
		return stale("a newer version was passed over by the selection")
	}
	if v.want = m.rest(); v.want == nil && m.compared {
		v.want = m.fetch("it is older than the last comparison, which did not show it")
	}
	return v
}

func (m *matter) ignored(takes bool) verdict {
	v := verdict{outcome: Ignored, reason: notSelected, takes: takes, closes: m.o.authoritative}
	if m.o.authoritative && m.byRules {
		v.do = passOver
	}
	return v
}

// known judges a product that has a row which the times do not put before it.
func (m *matter) known() verdict {
	h, read := &m.h, m.o.authoritative
	switch {
	case m.unreadable && !read:
		return stale("what is stored can't be read; the product is fetched").fetching(m, "its row can't be read")
	case !h.selected && !m.selected:
		return m.ignored(false)
	case m.passed:
		return stale("a newer version was passed over by the selection")
	case m.older():
		if v, refused := m.refuse(h.syncedAt, "the stored version is dated later"); refused {
			return v
		}
	case m.tied() && m.hash == h.hash && m.selected == h.selected:
		return m.same()
	case m.tied() && m.hash != h.hash:
		return m.tie()
	}
	return m.replace("")
}

// tie judges another content of the stored version's second.
func (m *matter) tie() verdict {
	const differ = "two versions of the same second differ"
	h, o := &m.h, &m.o
	switch {
	case o.authoritative && m.writtenSince():
		return stale("the same second as the stored version, which was written after the read began; "+
			"the product is fetched to decide").fetching(m, differ)
	case o.authoritative:
		return m.replace("")
	case catalog.ShowsLast(h.readAt, h.updatedAt, clocksApart):
		return stale("the same second as the stored version, which the shop itself showed after that second")
	case o.triggered != 0 && h.triggered != 0 && o.triggered <= h.triggered:
		return stale("the same second as the stored version but triggered earlier; the product is fetched to decide").
			fetching(m, differ)
	}
	return m.replace("").fetching(m, differ)
}

// same judges the stored content that came again. What the content's hash leaves
// out is taken from it: a variant's own time with the pictures of that time, what
// only reads carry, and the numbers of images, which a read of the shop does not show.
func (m *matter) same() verdict {
	v := stale("the same version is stored")
	v.p, v.full = m.p, m.full
	if m.o.authoritative {
		if !m.sound() || m.h.status != statusOf(m.selected, m.full) {
			return m.replace("what was stored was not what the shop shows of this version")
		}
		v.do, v.want, v.closes = confirm, m.rest(), true
		_, unknown := m.old.Unhashed(m.full)
		if unknown || untimed(m.old, m.full) || unpictured(m.old, m.full) {
			v.do, v.fed = learn, true
		}
		return v
	}
	v.retriggered = m.o.triggered > m.h.triggered
	switch {
	case !v.retriggered && m.h.triggered != 0: // what a delivery wrote has the numbers
	case v.retriggered && m.p.Variants.Present() && untimed(m.old, m.full):
		v.do, v.fed = learn, unpictured(m.old, m.full)
	default:
		with := *m.old
		if number(&with, m.full.Images.Value()); unpictured(m.old, &with) {
			v.do, v.fed, v.p, v.full = learn, true, &with, &with
		}
	}
	return v
}

// replace writes what arrived over what is stored. reason is "" where nothing has
// to be explained; else what was stored was damaged, and that is always told.
func (m *matter) replace(reason string) verdict {
	v := verdict{
		outcome: Applied, reason: reason, want: m.rest(), do: update, closes: true,
		p: m.p, full: m.full, drift: DriftDifferent,
	}
	if m.o.report || reason != "" {
		v.diff = m.changes()
	}
	// A row hash is a column like the others, so where one of them is wrong none is
	// believed.
	v.distrust = m.o.authoritative && !m.sound()
	return v
}

// sound reports whether the stored content is what its hash and the shop's read
// say, as far as it was read.
func (m *matter) sound() bool {
	if m.old == nil {
		return !m.unreadable
	}
	wrong, _ := m.old.Unhashed(m.full)
	return len(wrong) == 0 && m.old.ContentHash().String() == m.h.hash
}

// gone judges that the shop has the product no more. A delete carries no time, and
// Shopify never uses a product id again, so it wins over every version of the
// product; but a read says nothing of what was written after it began.
func (m *matter) gone() verdict {
	h, read := &m.h, m.o.authoritative
	v := verdict{outcome: Applied, do: erase, closes: true}
	switch {
	case m.other.shop != "" && !read: // what a read does not show is not this shop's, whoever has it
		return verdict{err: ErrOtherShop}
	case read && m.writtenSince():
		return stale("the product was written after the read began; it is fetched to decide").
			fetching(m, "it was written while the shop was asked and did not show it")
	case h.tombstone != 0 && h.id == 0:
		return verdict{outcome: Stale, reason: "the product was already deleted", closes: read}
	case h.id != 0:
		v.drift = DriftExtra
	}
	return v
}

// refuse judges a read that shows an older state than what was committed before it
// began; the rule is in difference.go.
func (m *matter) refuse(committed int64, why string) (v verdict, refused bool) {
	d, wins := m.open.next(committed, m.hash, m.o.started, m.now)
	if wins {
		return v, false
	}
	why += " than what the shop shows"
	v = stale(why+"; the product is read again until that is decided").fetching(m, why)
	v.refused = d
	return v, true
}

// rest is the fetch that is needed because the payload does not carry the whole
// product, nil for none. The stored order of images is known to be that of the
// stored version only.
func (m *matter) rest() *Wanted {
	reason := missingPart(m.p)
	if reason == "" || reason == unorderedImages && m.old != nil && !m.full.ImagesUnordered &&
		catalog.Second(m.full.UpdatedAt.Value()) == catalog.Second(m.old.UpdatedAt.Value()) {
		return nil
	}
	return m.fetch(reason)
}

// clocksApart is how far our clock may be ahead of a shop's when a delivery is
// judged.
const clocksApart = time.Minute
