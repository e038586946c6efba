package bulk

import "fmt"

// Mark is how far a result is safe. Save it, as JSON, in the transaction that
// saves what was made of the groups handed out so far; save all of it: the
// counts cannot be found again. It is good for the one file it was taken of. The
// zero value is the beginning.
type Mark struct {
	// Offset is where to continue reading. Every line before it is in a group
	// that was handed out or in the sort file, no line behind it was handed out.
	Offset int64 `json:"offset"`
	// Sorted is how many lines before Offset are in the sort file, and Sum the
	// sum of their checksums.
	Sorted int64 `json:"sorted,omitempty"`
	Sum    int64 `json:"sum,omitempty"`
	// Walked is the largest root that was handed out of the sort file.
	Walked int64 `json:"walked,omitempty"`

	Lines      int64 `json:"lines"`   // before Offset
	Objects    int64 `json:"objects"` // of the groups handed out
	Roots      int64 `json:"roots"`
	Orphans    int64 `json:"orphans,omitempty"`
	LateLines  int64 `json:"late_lines,omitempty"`
	Duplicates int64 `json:"duplicates,omitempty"`
	BadLines   int64 `json:"bad_lines,omitempty"`
}

// Stats are the counts of a whole result, over restarts too.
type Stats struct {
	Lines int64 // that are not blank
	// Objects are the distinct objects in groups handed out, roots and children
	// without root included. Roots are those of them without parent.
	Objects, Roots int64
	Orphans        int64 // children whose root never came, or that belong to no root
	// Late are lines whose root was handed out before. Each is a copy of one
	// that was there, or one child more than its root counted: Objects may be
	// short of it.
	Late int64
	// Duplicates are lines of an object that its group had already.
	Duplicates int64
	BadLines   int64 // no JSON object with an id, or too long
	Bytes      int64 // read, from the beginning of the file
	LastWhole  bool  // the last line is a whole one, or there is none
}

// Check compares the counts with what Shopify says of the result: fileSize (-1
// when it does not say), objectCount and rootObjectCount. nil means that the
// result was read whole. Shopify does not count a line it sent twice; whether a
// late line is such a copy cannot be told here, so either number is taken:
// fetch the roots of late lines one by one.
func (s Stats) Check(size, objects, roots int64) error {
	switch {
	case size >= 0 && s.Bytes != size:
		return fmt.Errorf("bulk: read %d bytes of %d", s.Bytes, size)
	case !s.LastWhole:
		return fmt.Errorf("bulk: the last line is cut off")
	case s.BadLines > 0:
		return fmt.Errorf("bulk: %d lines can't be understood", s.BadLines)
	case s.Orphans > 0:
		return fmt.Errorf("bulk: %d lines belong to no root", s.Orphans)
	case s.Roots != roots:
		return fmt.Errorf("bulk: %d roots of %d", s.Roots, roots)
	case objects < s.Objects || objects > s.Objects+s.Late:
		return fmt.Errorf("bulk: %d objects of %d", s.Objects, objects)
	}
	return nil
}
