package web

import (
	"regexp"
	"strings"
	"time"

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

// arrival says what a delivery is about, as the start of a sentence.
func arrival(topic string) string {
	switch topic {
	case "products/create":
		return "New product"
	case "products/update":
		return "Product changed"
	case "products/delete":
		return "Product deleted"
	case "inventory_levels/update":
		return "Stock changed"
	case "inventory_levels/connect":
		return "Stocked at one more location"
	case "inventory_levels/disconnect":
		return "No longer stocked at a location"
	case "inventory_items/update":
		return "Inventory item changed"
	case "app/uninstalled":
		return "App removed from the shop"
	case "app/scopes_update":
		return "Permissions changed"
	case "bulk_operations/finish":
		return "Bulk export finished"
	case "customers/data_request":
		return "Request for customer data"
	case "customers/redact":
		return "Request to delete customer data"
	case "shop/redact":
		return "Request to delete the shop's data"
	}
	return "Message of another kind"
}

// happened says what a delivery tells of the product that is named before it, ""
// when it is not about one product.
func happened(topic string) string {
	switch topic {
	case "products/create":
		return "was added"
	case "products/update":
		return "was changed"
	case "products/delete":
		return "was deleted"
	}
	return ""
}

// happenedToItem is what a topic tells of the product whose inventory it is about.
func happenedToItem(topic string) string {
	switch topic {
	case "inventory_levels/update":
		return "has another stock level"
	case "inventory_levels/connect":
		return "is stocked at one more location"
	case "inventory_levels/disconnect":
		return "is no longer stocked at a location"
	case "inventory_items/update":
		return "has other inventory details"
	}
	return ""
}

// claimed says what a delivery tells whose content does not fit its topic:
// nobody knows that it happened.
func claimed(verb string) string { return "is said to have been " + strings.TrimPrefix(verb, "was ") }

// outcomeWords says what became of a delivery: a short label and what it means.
func outcomeWords(o store.Outcome) (label, meaning string) {
	switch o {
	case store.Applied:
		return "Stored", ""
	case store.Stale:
		return "Older", "what is stored is newer, so nothing changed"
	case store.Duplicate:
		return "Repeat", "it came before and was stored once"
	case store.Queued:
		return "Waiting", "kept safely, stored as soon as possible"
	case store.Dead:
		return "Not understood", "kept whole under Needs a look"
	case store.Ignored:
		return "Not selected", "the selection leaves this product out"
	case store.Mismatch:
		return "Does not fit", "its content is not what it claims to be; kept whole under Needs a look"
	}
	return string(o), ""
}

// changeWords says what a row of the change feed did.
func changeWords(kind string) string {
	switch kind {
	case "created":
		return "Added"
	case "updated":
		return "Updated"
	case "deleted":
		return "Deleted"
	case "activated":
		return "Active again"
	case "deactivated":
		return "Inactive now"
	}
	return kind
}

// jobWords says what a job does.
func jobWords(kind string, labels map[string]string) string {
	switch kind {
	case deliveryKind:
		return arrival(labels["topic"])
	case string(store.WantProduct):
		return "Fetch a product from Shopify"
	case string(store.WantInventoryItem):
		return "Fetch the product of a stock change"
	case string(store.WantUninstalled):
		return "Ask whether the app is still installed"
	case string(store.WantScopes):
		return "Read the app's permissions"
	case string(store.WantBulk):
		return "Look at a bulk export"
	case string(store.WantSync):
		return "Read the whole catalogue"
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// classWords says why a job failed for good.
func classWords(c queue.Class) string {
	switch c {
	case queue.ClassUpstream:
		return "Shopify did not answer properly"
	case queue.ClassAuth:
		return "Shopify refused the access token or a permission is missing"
	case queue.ClassValidation:
		return "Shopify understood the request and refused it"
	case queue.ClassConflict:
		return "what is stored does not allow it"
	case queue.ClassStorage:
		return "the disk or the database failed"
	case queue.ClassBug:
		return "a fault in Stockroom, please report it"
	case queue.ClassCrash:
		return "Stockroom stopped each time it worked on this"
	case queue.ClassTimeout:
		return "it took longer than it may"
	case queue.ClassPoison:
		return "the content can't be understood"
	case queue.ClassDamaged:
		return "what was kept of it is damaged"
	case "mismatch":
		return "the content is not what it claims to be"
	}
	return "it failed each time"
}

// rejectedWords says the likely cause of a refused delivery in a few words.
func rejectedWords(reason webhook.Reason) string {
	switch reason {
	case webhook.ReasonMethod:
		return "Not a webhook"
	case webhook.ReasonTooLarge:
		return "Too large"
	case webhook.ReasonEncoded:
		return "Compressed on the way"
	case webhook.ReasonMissingHeader, webhook.ReasonNoHMAC:
		return "Not signed"
	case webhook.ReasonMalformedHMAC:
		return "Unreadable signature"
	case webhook.ReasonWrongSecret:
		return "Wrong signature"
	case webhook.ReasonOldSecret:
		return "Signed with a replaced secret"
	case webhook.ReasonOtherShop:
		return "Signed with another shop's secret"
	case webhook.ReasonBodyChanged:
		return "Changed on the way"
	case webhook.ReasonTruncated:
		return "Cut off on the way"
	case webhook.ReasonAborted:
		return "Broken off"
	case webhook.ReasonTooMany:
		return "Too many wrong signatures"
	case webhook.ReasonUnknownShop:
		return "Unknown shop"
	case webhook.ReasonNoSecret:
		return "No secret for this shop yet"
	case webhook.ReasonBusy:
		return "Too much at once"
	case webhook.ReasonStoresFailed:
		return "Nothing could be stored"
	}
	return strings.ReplaceAll(string(reason), "_", " ")
}
