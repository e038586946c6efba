package bulk

// idSet is a set of ids above zero, 11 to 21 bytes each.
type idSet struct {
	slots []int64 // 0: free
	n     int
}

func (s *idSet) slot(id int64) int {
	mask := len(s.slots) - 1
	i := int(uint64(id)*0x9E3779B97F4A7C15>>32) & mask
	for s.slots[i] != 0 && s.slots[i] != id {
		i = (i + 1) & mask
	}
	return i
}

func (s *idSet) has(id int64) bool {
	return s.n > 0 && s.slots[s.slot(id)] == id
}

func (s *idSet) add(id int64) {
	if s.n >= len(s.slots)*3/4 {
		old := s.slots
		s.slots = make([]int64, max(1024, 2*len(old)))
		for _, x := range old {
			if x != 0 {
				s.slots[s.slot(x)] = x
			}
		}
	}
	if i := s.slot(id); s.slots[i] == 0 {
		s.slots[i] = id
		s.n++
	}
}
