package web

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

// instant is a time as the page shows it. Its words are in the server's zone,
// which they name, and the script puts those of the reader's zone in their place
// in the same form.
type instant struct {
	ISO   string // RFC 3339 in UTC, "" for none
	Full  string // day, time and zone
	Words string
	Form  string // ago, ahead, clock or seconds
}

func instantOf(t time.Time, form, words string) instant {
	if t.IsZero() {
		return instant{}
	}
	return instant{t.UTC().Format(time.RFC3339), t.Format("Mon 2 Jan 2006, 15:04:05 MST"), words, form}
}

// since is "4 minutes ago".
func since(now, t time.Time) instant { return instantOf(t, "ago", ago(now, t)) }

// ahead is "in 4 minutes".
func ahead(now, t time.Time) instant { return instantOf(t, "ahead", until(now, t)) }

// clock is "12:03 UTC", with the date when it is of another day.
func clock(now, t time.Time) instant { return instantOf(t, "clock", onClock(now, t, "15:04 MST")) }

// seconds is clock as "12:03:05 UTC".
func seconds(now, t time.Time) instant {
	return instantOf(t, "seconds", onClock(now, t, "15:04:05 MST"))
}

func onClock(now, t time.Time, layout string) string {
	t = t.In(now.Location())
	if y, m, d := t.Date(); y != now.Year() || m != now.Month() || d != now.Day() {
		layout = "2 Jan " + layout
	}
	return t.Format(layout)
}

// part is a piece of a sentence: text, or an instant.
type part struct {
	Text string
	Time instant // with ISO "" it is text
}

var instants = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

// parts finds the instants in a text.
func parts(now time.Time, text string) (list []part) {
	from := 0
	for _, at := range instants.FindAllStringIndex(text, -1) {
		t, err := time.Parse(time.RFC3339, text[at[0]:at[1]])
		if err != nil {
			continue // 2026-02-31
		}
		if at[0] > from {
			list = append(list, part{Text: text[from:at[0]]})
		}
		list, from = append(list, part{Time: seconds(now, t.In(now.Location()))}), at[1]
	}
	if from < len(text) {
		list = append(list, part{Text: text[from:]})
	}
	return list
}

// arrivals say what a delivery is about, as the start of a sentence.
var arrivals = map[string]string{
	"products/create":             "New product",
	"products/update":             "Product changed",
	"products/delete":             "Product deleted",
	"inventory_levels/update":     "Stock changed",
	"inventory_levels/connect":    "Stocked at one more location",
	"inventory_levels/disconnect": "No longer stocked at a location",
	"inventory_items/update":      "Inventory item changed",
	"app/uninstalled":             "App removed from the shop",
	"app/scopes_update":           "Permissions changed",
	"bulk_operations/finish":      "Bulk export finished",
	"customers/data_request":      "Request for customer data",
	"customers/redact":            "Request to delete customer data",
	"shop/redact":                 "Request to delete the shop's data",

	"Product":              "Product changed (Event)",
	"InventoryItem":        "Inventory item changed (Event)",
	"Collection":           "Collection changed (Event)",
	"Location":             "Location changed (Event)",
	"MetafieldDefinition":  "Metafield definition changed (Event)",
	"Metaobject":           "Metaobject changed (Event)",
	"MetaobjectDefinition": "Metaobject definition changed (Event)",
}

func arrival(topic string) string { return cmp.Or(arrivals[topic], "Message of another kind") }

// happenings say what a delivery tells of the product that is named before it.
var happenings = map[string]string{
	"products/create": "was added", "products/update": "was changed", "products/delete": "was deleted",
	"Product": "was changed",
}

// happened is "" when a delivery is not about one product.
func happened(topic string) string { return happenings[topic] }

// happenedToItem says what a topic tells of the product whose inventory it is about.
var happenedToItem = map[string]string{
	"inventory_levels/update":     "has another stock level",
	"inventory_levels/connect":    "is stocked at one more location",
	"inventory_levels/disconnect": "is no longer stocked at a location",
	"inventory_items/update":      "has other inventory details",
	"InventoryItem":               "has other inventory details",
}

// claimed says what a delivery tells whose content does not fit its topic:
// nobody knows that it happened.
func claimed(verb string) string { return "is said to have been " + strings.TrimPrefix(verb, "was ") }

// outcome says what became of a delivery: a mark, a short label and what it means.
type outcome struct {
	Mood           mood
	Label, Meaning string
}

var outcomes = map[store.Outcome]outcome{
	store.Applied:   {moodGood, "Stored", ""},
	store.Stale:     {moodIdle, "Older", "what is stored is newer, so nothing changed"},
	store.Duplicate: {moodIdle, "Repeat", "it came before and was stored once"},
	store.Queued:    {moodWait, "Waiting", "kept safely, stored as soon as possible"},
	store.Dead:      {moodBad, "Not understood", "kept whole under Needs a look"},
	store.Ignored:   {moodIdle, "Left out", "the selection leaves this product out"},
	// Anybody who has seen a delivery can make one that does not fit.
	store.Mismatch: {moodWait, "Does not fit", "its content is not what it claims to be; kept whole under Needs a look"},
}

func outcomeOf(o store.Outcome) outcome {
	return cmp.Or(outcomes[o], outcome{moodIdle, string(o), ""})
}

// changes say what a row of the change feed did.
var changes = map[string]string{
	"created": "Added", "updated": "Updated", "deleted": "Deleted", "activated": "Active again", "deactivated": "Inactive now",
}

func changeWords(kind string) string { return cmp.Or(changes[kind], kind) }

// works say what a job does.
var works = map[string]string{
	string(store.WantProduct):       "Fetch a product from Shopify",
	string(store.WantInventoryItem): "Fetch the product of a stock change",
	string(store.WantUninstalled):   "Ask whether the app is still installed",
	string(store.WantScopes):        "Read the app's permissions",
}

func jobWords(kind string, labels map[string]string) string {
	if kind == store.DeliveryJob {
		return arrival(labels["topic"])
	}
	return cmp.Or(works[kind], plain(kind))
}

// plain writes a code as words.
func plain[T ~string](code T) string { return strings.ReplaceAll(string(code), "_", " ") }

// failures say why a job failed for good.
var failures = map[queue.Class]string{
	queue.ClassUpstream:   "Shopify did not answer properly",
	queue.ClassAuth:       "Shopify refused the access token or a permission is missing",
	queue.ClassValidation: "Shopify understood the request and refused it",
	queue.ClassConflict:   "what is stored does not allow it",
	queue.ClassStorage:    "the disk or the database failed",
	queue.ClassBug:        "a fault in Stockroom, please report it",
	queue.ClassCrash:      "Stockroom stopped each time it worked on this",
	queue.ClassTimeout:    "it took longer than it may",
	queue.ClassPoison:     "the content can't be understood",
	queue.ClassDamaged:    "what was kept of it is damaged",
	"mismatch":            "the content is not what it claims to be",
}

func classWords(c queue.Class) string { return cmp.Or(failures[c], "it failed each time") }

// rejections say the likely cause of a refused delivery in a few words.
var rejections = map[webhook.Reason]string{
	webhook.ReasonMethod:        "Not a webhook",
	webhook.ReasonTooLarge:      "Too large",
	webhook.ReasonEncoded:       "Compressed on the way",
	webhook.ReasonMissingHeader: "Not signed",
	webhook.ReasonNoHMAC:        "Not signed",
	webhook.ReasonMalformedHMAC: "Unreadable signature",
	webhook.ReasonWrongSecret:   "Wrong signature",
	webhook.ReasonOldSecret:     "Signed with a replaced secret",
	webhook.ReasonOtherShop:     "Signed with another shop's secret",
	webhook.ReasonBodyChanged:   "Changed on the way",
	webhook.ReasonTruncated:     "Cut off on the way",
	webhook.ReasonAborted:       "Broken off",
	webhook.ReasonTooMany:       "Too many wrong signatures",
	webhook.ReasonUnknownShop:   "Unknown shop",
	webhook.ReasonNoSecret:      "No secret for this shop yet",
	webhook.ReasonBusy:          "Too much at once",
	webhook.ReasonStoresFailed:  "Nothing could be stored",
}

func rejectedWords(r webhook.Reason) string { return cmp.Or(rejections[r], plain(r)) }

// The words and moods of the account of health, which the pages use too.
type mood = status.Mood

const (
	moodGood = status.Good
	moodIdle = status.Idle
	moodWait = status.Wait
	moodBad  = status.Bad
)

var (
	ago, until, span = status.Ago, status.Until, status.Span
	count, number    = status.Count, status.Number
	shortShop        = status.ShortShop
	capital, small   = catalog.Capital, status.Small
	sentences        = status.Sentences
	pauseParts       = status.PauseParts
)

// partsOf turns a sentence of the account into what templates show.
func partsOf(now time.Time, w status.Words) []part {
	var list []part
	for _, p := range w {
		switch {
		case p.At.IsZero():
			list = append(list, parts(now, p.Text)...) // a reason may name an instant
		case p.Form == status.Clock:
			list = append(list, part{Time: clock(now, p.At)})
		case p.Form == status.Seconds:
			list = append(list, part{Time: seconds(now, p.At)})
		case p.Form == status.Ahead:
			list = append(list, part{Time: ahead(now, p.At)})
		default:
			list = append(list, part{Time: since(now, p.At)})
		}
	}
	return list
}
