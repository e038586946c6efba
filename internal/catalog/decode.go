package catalog

// Decode turns a webhook body into the change it describes. It answers with a
// *MalformedError when the body can't be understood and with a *MismatchError
// when it is sound but has the shape of something else than its topic says;
// there are no other errors, and no input makes it panic. The body is neither
// changed nor kept.
//
// Names it does not know are ignored, and of a name given twice the last one
// counts. Whether Change.ShopDomain is the shop the delivery came from is for
// the caller to check.
func Decode(topic Topic, body []byte) (Change, error) {
	kind := topic.Kind()
	if kind == 0 {
		return Change{}, &MismatchError{Reason: "the topic is not one that is handled here"}
	}
	r := newReader(body)
	defer r.release()
	c := Change{Topic: topic, Kind: kind}
	if !r.openBody() {
		return Change{}, r.err
	}
	switch {
	case kind == Upsert:
		c.Product = r.product()
	case kind.Event():
		r.announcement(&c)
	default:
		r.notice(&c)
	}
	if r.err != nil {
		return Change{}, r.err
	}
	if c.Product != nil {
		c.ID = c.Product.ID
	}
	return c, nil
}

// openBody enters the object that every body is. Sound JSON of another kind is
// a mismatch.
func (r *reader) openBody() bool {
	if r.err == nil && r.peek() != '{' {
		r.mismatch("the body is not a JSON object")
	}
	r.open()
	return r.err == nil
}

// resourceID is what a body says about whose it is: the id and the global id
// at its top level. They have to agree.
type resourceID struct {
	id, gid int64
}

// settle returns the one id, or notes a mismatch.
func (r *reader) settle(is resourceID, resource string) int64 {
	switch {
	case r.err != nil:
	case is.id == 0 && is.gid == 0:
		r.mismatch("the body has no id of a " + resource)
	case is.id != 0 && is.gid != 0 && is.id != is.gid:
		r.mismatch("id and admin_graphql_api_id name different things")
	case is.id != 0:
		return is.id
	}
	return is.gid
}

// topID reads the id at the top level. A number that no resource can have is a
// mismatch, anything but a number malformed.
func (r *reader) topID() int64 {
	raw := r.value()
	switch kindOf(raw) {
	case 'n':
		return 0
	case '"':
		raw = r.unquote(raw)
	}
	n, ok := parseInt(raw)
	if !ok {
		r.malformed("id", "is not a whole number of 64 bits")
	} else if n <= 0 {
		r.mismatch("the id is not a positive number")
	}
	return n
}

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
