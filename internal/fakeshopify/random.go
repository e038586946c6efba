package fakeshopify

import (
	"encoding/hex"
	"math/rand/v2"
)

// The shop has one random stream per purpose, so that a delivery that fails
// does not change what is edited next.
const (
	streamCatalogue = iota + 1
	streamEdits
	streamChaos
	streamIDs
	streamAPI
	streamBulk
	streamPace
	streamIndex
)

func stream(seed uint64, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, n*0x9e3779b97f4a7c15))
}

// uuid is a version 4 UUID from the stream.
func uuid(r *rand.Rand) string {
	var b [16]byte
	for i := range 2 {
		x := r.Uint64()
		for j := range 8 {
			b[i*8+j] = byte(x >> (8 * j))
		}
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var t [36]byte
	hex.Encode(t[:8], b[:4])
	t[8] = '-'
	hex.Encode(t[9:13], b[4:6])
	t[13] = '-'
	hex.Encode(t[14:18], b[6:8])
	t[18] = '-'
	hex.Encode(t[19:23], b[8:10])
	t[23] = '-'
	hex.Encode(t[24:], b[10:])
	return string(t[:])
}

func chance(r *rand.Rand, p float64) bool { return p > 0 && r.Float64() < p }

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// Kinds of ids. Each counts upward on its own, as Shopify's do.
type idKind int

const (
	idProduct idKind = iota
	idVariant
	idItem
	idImage
	idMedia
	idOption
	idEvent
	idSubscription
	idBulk
	idKinds
)

// idSource hands out growing ids. Those of the big range lie beyond 2^53 and
// nearer to each other than a float64 can tell apart, so that a reader that
// passes them through one loses products at once.
type idSource struct {
	rand *rand.Rand
	last [idKinds]int64
	big  [idKinds]int64
}

func newIDSource(r *rand.Rand) *idSource {
	s := &idSource{rand: r}
	s.last = [idKinds]int64{7_100_000_000_000, 41_000_000_000_000, 43_000_000_000_000, 33_000_000_000_000,
		25_000_000_000_000, 9_000_000_000_000, 90_000_000_000_000, 1_100_000_000_000, 4_300_000_000_000}
	for k := range s.big {
		s.big[k] = 788_032_119_674_292_000 + int64(k)*10_000_000_000_000_000
	}
	return s
}

func (s *idSource) next(kind idKind, big bool) int64 {
	if big {
		s.big[kind] += 1 + s.rand.Int64N(60)
		return s.big[kind]
	}
	s.last[kind] += 32 * (1 + s.rand.Int64N(2000))
	return s.last[kind]
}
