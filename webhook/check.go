package webhook

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// family is what the names of a delivery's headers begin with. All headers are
// read from one: a mixture would be of no message that anybody sent.
type family string

const (
	classic family = "X-Shopify-"
	events  family = "Shopify-"
)

// familyOf is that of the signature. Where both are there the shorter names
// decide, as in Shopify's own library.
func familyOf(h http.Header) family {
	if events.get(h, "Hmac-Sha256") != "" || classic.get(h, "Hmac-Sha256") == "" && events.get(h, "Topic") != "" {
		return events
	}
	return classic
}

func (f family) get(h http.Header, name string) string { return h.Get(string(f) + name) }

// handle runs the checks in their order and, when all hold, makes the delivery
// durable.
func (in *Intake) handle(w http.ResponseWriter, req *request) (receipt, *rejection) {
	r := req.http
	h := r.Header
	req.address = in.opt.TrustedProxies.Client(r)
	req.family = familyOf(h)
	req.topic = strings.TrimSpace(req.family.get(h, "Topic"))
	req.shop = strings.ToLower(strings.TrimSpace(req.family.get(h, "Shop-Domain")))
	signature := req.family.get(h, "Hmac-Sha256")

	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return receipt{}, &rejection{status: http.StatusMethodNotAllowed, reason: ReasonMethod,
			title: "Only POST is accepted here", detail: "Shopify delivers webhooks with POST."}
	}
	if r.ContentLength > in.opt.MaxBody {
		return receipt{}, in.tooLarge()
	}
	if rej := encoded(h); rej != nil {
		return receipt{}, rej
	}
	topic, known := catalog.ParseTopic(req.topic)
	if rej := req.missing(signature, topic.Compliance()); rej != nil {
		return receipt{}, rej
	}

	body, release, rej := in.readBody(w, req)
	if rej != nil {
		return receipt{}, rej
	}
	defer release()
	named := req.shop
	if named == "" {
		named = catalog.ShopNamed(body)
	}

	d := in.directory.Load()
	if rej := in.authenticate(d, req, named, body, signature); rej != nil {
		return receipt{}, rej
	}
	in.opt.Proven(r, false)
	req.shop = named
	if rej := req.missing(signature, false); rej != nil {
		return receipt{}, rej
	}
	req.topic = string(topic)
	shop, rej := findShop(d, req.shop, topic)
	if rej != nil {
		return receipt{}, rej
	}
	if !known {
		return receipt{success: true, ignored: true, outcome: store.Ignored, reason: "the topic is not one Stockroom uses"}, nil
	}

	req.envelope = Envelope{
		Shop: req.shop, Topic: req.topic,
		WebhookID: bounded(req.family.get(h, "Webhook-Id")), EventID: bounded(req.family.get(h, "Event-Id")),
		ReceivedAt: req.arrived, TriggeredAt: triggeredAt(req.family.get(h, "Triggered-At")), Body: body,
	}
	if !strings.HasPrefix(req.envelope.WebhookID, store.SampleID) { // a sample of ours shows nothing of Shopify's secret
		in.refusals.accepted(req.shop, req.arrived)
	}
	a, rej := in.accept(req, shop, topic)
	if a.outcome == store.Applied { // what was seen and is sent again proves nothing of its sender
		in.senders.signed(senderOf(req.address), req.arrived)
		in.opt.Proven(r, true)
	}
	return a, rej
}

func (in *Intake) tooLarge() *rejection {
	return &rejection{status: http.StatusRequestEntityTooLarge, reason: ReasonTooLarge, title: "The body is too large",
		detail: "The limit is " + strconv.FormatInt(in.opt.MaxBody, 10) + " bytes; it is set with --max-body."}
}

// encoded refuses a body that is not sent as it is. Shopify compresses none and
// signs the plain bytes, and a compressed one can grow without bound.
func encoded(h http.Header) *rejection {
	for _, name := range strings.Split(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		name = strings.TrimSpace(name)
		if name == "" || strings.EqualFold(name, "identity") {
			continue
		}
		return &rejection{status: http.StatusUnsupportedMediaType, reason: ReasonEncoded, title: "The body is encoded",
			detail: "Content-Encoding is " + clip(name) + ". Shopify sends and signs the body as it is: " +
				"stop the proxy on the way from compressing requests."}
	}
	return nil
}

// missing names every absent header at once. The body of a compliance topic names
// the shop too, so that its header may be absent.
func (req *request) missing(signature string, shopInBody bool) *rejection {
	var names []string
	reason := ReasonMissingHeader
	if signature == "" {
		names = append(names, string(req.family)+"Hmac-Sha256")
		reason = ReasonNoHMAC
	}
	if req.shop == "" && !shopInBody {
		names = append(names, string(req.family)+"Shop-Domain")
	}
	if req.topic == "" {
		names = append(names, string(req.family)+"Topic")
	}
	if names == nil {
		return nil
	}
	return &rejection{status: http.StatusUnauthorized, reason: reason, title: "A header is missing",
		detail: "Missing: " + strings.Join(names, ", ") + "."}
}

// readBody reads the body once, within the limit and the budget of bytes in
// flight. release gives its memory back; the body must not be used after it.
func (in *Intake) readBody(w http.ResponseWriter, req *request) (body []byte, release func(), rej *rejection) {
	body, release, err := in.bodies.read(w, req, in.from(req), in.opt.MaxBody)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, release, nil
	case errors.As(err, &large):
		return nil, nil, in.tooLarge()
	case errors.Is(err, errNoMemory):
		return nil, nil, &rejection{status: http.StatusServiceUnavailable, reason: ReasonBusy, retryAfter: 5,
			title: "Too much is arriving at once", detail: "The memory for bodies in flight is used up. Send it again."}
	}
	detail := "The body did not arrive in time or the connection broke."
	if errors.Is(err, io.ErrUnexpectedEOF) {
		detail = "The connection ended before the declared length was reached."
	}
	return nil, nil, &rejection{status: http.StatusBadRequest, reason: ReasonAborted, title: "The body is incomplete", detail: detail}
}

// authenticate checks the signature against the secrets of the shop that the
// header names, or the body in its place.
func (in *Intake) authenticate(d *Directory, req *request, named string, body []byte, signature string) *rejection {
	var tried []*verifier
	var signer *verifier
	sum, wellFormed := decodeHMAC(signature)
	if wellFormed {
		tried = d.candidates(named, &in.lately)
		signer = matching(tried, body, sum)
	}
	shop, known := d.shops[named]
	switch {
	case known && !shop.Removed && len(shop.Keys) == 0: // our fault, not the sender's
		return &rejection{status: http.StatusServiceUnavailable, reason: ReasonNoSecret, retryAfter: 60,
			title:  "The shop's client secret is not configured",
			detail: "Add it with `stockroom shop add`; until then Shopify sends this again."}
	case signer != nil:
		in.lately.fitted(signer.secret)
		if known && signer.old {
			in.counts.oldSecret.Inc()
		} else if !known && named != "" {
			in.refusals.stranger(clip(named), signer, req.arrived) // answered 404 by findShop
		}
		return nil
	case !in.senders.mayFail(senderOf(req.address), req.arrived):
		return &rejection{status: http.StatusTooManyRequests, reason: ReasonTooMany, retryAfter: 60,
			title: "Too many wrong signatures", detail: "Requests with a right signature are never limited."}
	case !wellFormed:
		return &rejection{status: http.StatusUnauthorized, reason: ReasonMalformedHMAC, title: "The signature is not one",
			detail: string(req.family) + "Hmac-Sha256 must be 32 bytes in base64."}
	}
	// One answer for a shop that is known, one that is not and any secret: it must
	// not tell a stranger which of them there are.
	rej := &rejection{status: http.StatusUnauthorized, reason: wrongSignature, title: "The signature does not fit",
		detail: "The body is signed with another secret, or it was changed on the way. " +
			"Stockroom's log and status page tell the likely cause.",
		cause: &cause{reason: ReasonWrongSecret, detail: "The body is signed with another secret, or it was changed on " +
			"the way. Which of the two is looked for at most once a second, and this one came in between."}}
	if in.looks.AllowN(time.Now(), 1) {
		c := in.look(d, req, named, body, sum, tried)
		rej.cause = &c
	}
	return rej
}

// findShop returns the shop; a removed one is known to compliance topics only.
func findShop(d *Directory, domain string, topic catalog.Topic) (Shop, *rejection) {
	shop, ok := d.shops[domain]
	if ok && (!shop.Removed || topic.Compliance()) {
		return shop, nil
	}
	return Shop{}, &rejection{status: http.StatusNotFound, reason: ReasonUnknownShop, title: "The shop is not connected",
		detail: "Connect it with `stockroom shop add`, or remove the webhook subscription in that shop."}
}

// triggeredAt reads the header Triggered-At; what can't be read counts as
// missing.
func triggeredAt(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		return time.Time{}
	}
	return t
}

// bounded keeps an id header as it is unless it is absurdly long; then only
// its head counts, and the body's hash still tells deliveries apart.
func bounded(s string) string {
	return s[:min(len(s), 256)]
}
