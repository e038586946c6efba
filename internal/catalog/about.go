package catalog

// ProductOf returns the id of the product that a body is about which is not
// applied, 0 when it names none. Its global id says so; where it has none, its
// id does under a topic of products.
func ProductOf(topic Topic, body []byte) int64 {
	r := newReader(body)
	defer r.release()
	if !r.openBody() {
		return 0
	}
	var at places
	for r.more() {
		r.locate(at.slot(r.name()))
	}
	id, gid := r.positive(at.id, "id"), r.globalID(&at, "Product")
	switch ofProducts := topic.Kind() == Upsert || topic.Kind() == Delete; {
	case r.err != nil, id != 0 && gid != 0 && id != gid:
		return 0
	case gid != 0:
		return gid
	case ofProducts:
		return id
	}
	return 0
}
