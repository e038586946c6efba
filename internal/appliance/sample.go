package appliance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/syncer"
	"stockroom/web"
)

// sampleID is the id in every sample. Shopify's ids are long numbers, so it is
// no product, item or operation of a shop.
const sampleID = 1

// sendSample sends a delivery, signed with the shop's current secret, over the
// public URL, as Shopify does. Where there is none, or this machine can't reach
// it, the public listener takes it.
func (a *Appliance) sendSample(ctx context.Context, in web.Sample) (web.SampleSent, error) {
	listener := a.public.Load()
	if listener == nil {
		return web.SampleSent{}, &answer.Refusal{Status: http.StatusConflict, Title: "Not listening",
			Detail: "A sample is sent while `stockroom serve` runs."}
	}
	shop, secret, err := a.sampleShop(in.Shop)
	if err != nil {
		return web.SampleSent{}, err
	}
	topic, body := cmp.Or(in.Topic, string(catalog.ProductsUpdate)), in.Body
	if len(body) == 0 {
		if body, err = sampleBody(topic, shop, time.Now()); err != nil {
			return web.SampleSent{}, err
		}
	}
	send := func(base, dial string) (t trip, out web.SampleSent) {
		t = a.travel(ctx, base, dial, syncer.HookPath(topic), shop, topic, secret, body)
		out = web.SampleSent{URL: t.url, Shop: shop, Topic: topic, Status: t.status, Answer: t.answer}
		if out.Level, out.Text, out.Next = t.judge(*listener); out.Level == levelOK {
			out.Text += ", " + t.kept() + "."
		}
		return t, out
	}
	pull, public := a.opt.Settings.Pull(), web.SampleSent{}
	if !pull {
		if _, public = send(a.opt.Settings.PublicURL, ""); public.Level != levelWarn {
			return public, nil
		}
	}
	straight := "http://" + *listener
	if a.opt.Settings.HTTPS != "" {
		straight = "https://" + a.opt.Settings.HTTPS
	}
	t, out := send(straight, *listener)
	switch {
	case t.err != nil:
		return out, &answer.Refusal{Status: http.StatusBadGateway, Title: "No answer",
			Detail: "The public listener at " + *listener + " gave no answer to the test delivery: " + causeOf(t.err) + "."}
	case out.Level != levelOK:
	case pull:
		out.Text += " Not tested: whether Shopify reaches this server, for in pull mode it does not have to."
		out.Next = pullWords(a.opt.Settings)
	default:
		out.Level, out.Next = public.Level, public.Next
		out.Text = public.Text + " Sent straight to the listener " + *listener + ", the test delivery was " + t.kept() + "."
	}
	return out, nil
}

// sampleShop finds the shop, the only one when none is named, and what signs its
// deliveries now.
func (a *Appliance) sampleShop(name string) (domain string, secret []byte, err error) {
	known := a.state.Shops()
	switch {
	case name != "":
		if domain, err = catalog.ParseShop(name); err != nil {
			return "", nil, &answer.Refusal{Status: http.StatusBadRequest, Title: "Not a shop name", Detail: err.Error() + "."}
		}
	case len(known) == 1:
		domain = known[0].Domain
	case len(known) == 0:
		return "", nil, &answer.Refusal{Status: http.StatusNotFound, Title: "No shop is connected", Detail: "Connect one: " + a.command(config.ConnectWords("NAME.myshopify.com"))}
	default:
		return "", nil, &answer.Refusal{Status: http.StatusBadRequest, Title: "Which shop?", Detail: "Several shops are connected; name one of them."}
	}
	for _, shop := range known {
		if shop.Domain != domain {
			continue
		}
		secrets := a.state.Secrets(domain)
		if len(secrets) == 0 {
			return "", nil, &answer.Refusal{Status: http.StatusConflict, Title: "No client secret", Detail: domain + " has no client secret; add it: " + a.command("shop add "+domain)}
		}
		return domain, secrets[0], nil
	}
	return "", nil, &answer.Refusal{Status: http.StatusNotFound, Title: "No such shop", Code: answer.CodeUnknownShop, Detail: domain + " is not connected; those that are: " + a.command("shop list")}
}

// sampleBody is a harmless body for a topic: its ids exist in no shop. A product
// sample is a draft called "Stockroom test product", so it becomes an INACTIVE
// row that products/delete removes again.
func sampleBody(topic, shop string, now time.Time) ([]byte, error) {
	at := now.UTC().Format(time.RFC3339)
	parsed, _ := catalog.ParseTopic(topic)
	var v map[string]any
	switch parsed {
	case catalog.ProductsCreate, catalog.ProductsUpdate:
		v = map[string]any{
			"id": sampleID, "title": "Stockroom test product", "body_html": "Sent by stockroom webhooks test.", "vendor": "Stockroom", "product_type": "Test",
			"handle": "stockroom-test-product", "tags": "stockroom-test", "status": "draft", "created_at": at, "updated_at": at, "published_at": nil,
			"options": []any{map[string]any{"id": sampleID, "name": "Title", "position": 1, "values": []string{"Default Title"}}}, "images": []any{},
			"variants": []any{map[string]any{"id": sampleID, "product_id": sampleID, "title": "Default Title", "sku": "STOCKROOM-TEST", "barcode": nil, "price": "0.00",
				"compare_at_price": nil, "inventory_item_id": sampleID, "inventory_quantity": 0,
				"position": 1, "option1": "Default Title", "option2": nil, "option3": nil, "image_id": nil,
				"inventory_policy": "deny", "taxable": true, "created_at": at, "updated_at": at}},
		}
	case catalog.InventoryLevelsDisconnect:
		v = map[string]any{"inventory_item_id": sampleID, "location_id": sampleID}
	case catalog.InventoryLevelsUpdate, catalog.InventoryLevelsConnect:
		v = map[string]any{"inventory_item_id": sampleID, "location_id": sampleID, "available": 0, "updated_at": at}
	case catalog.InventoryItemsUpdate:
		v = map[string]any{"id": sampleID, "sku": "STOCKROOM-TEST", "tracked": true, "created_at": at, "updated_at": at}
	case catalog.AppUninstalled:
		v = map[string]any{"id": sampleID, "name": "Stockroom test", "myshopify_domain": shop, "domain": nil, "plan_name": "test"}
	case catalog.AppScopesUpdate:
		v = map[string]any{"id": sampleID, "previous": []string{}, "current": []string{"read_products"}, "updated_at": at}
	case catalog.BulkOperationsFinish:
		v = map[string]any{"admin_graphql_api_id": fmt.Sprintf("gid://shopify/BulkOperation/%d", sampleID), "status": "completed", "type": "query", "error_code": nil}
	case catalog.CustomersDataRequest:
		v = map[string]any{"shop_id": sampleID, "shop_domain": shop, "orders_requested": []int{}, "customer": map[string]any{"id": sampleID}, "data_request": map[string]any{"id": sampleID}}
	case catalog.CustomersRedact:
		v = map[string]any{"shop_id": sampleID, "shop_domain": shop, "customer": map[string]any{"id": sampleID}, "orders_to_redact": []int{}}
	case catalog.ShopRedactTopic:
		return nil, &answer.Refusal{Status: http.StatusBadRequest, Title: "No sample", Detail: "shop/redact may delete what is kept of the shop, so there is no sample of it; give a body of your own."}
	default: // products/delete, and topics that are ignored
		v = map[string]any{"id": sampleID}
		if parsed.Kind().Event() {
			v = map[string]any{"topic": parsed, "action": "update", "handle": "stockroom-test", "fields_changed": map[string]any{},
				"query_variables": map[string]any{"id": catalog.GID(parsed.Resource(), sampleID)}}
		}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("send sample: %w", err)
	}
	return body, nil
}

// dialable turns a listener's address into one that can be dialled: 0.0.0.0 and
// [::] stand for loopback.
func dialable(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return a.String()
	}
	host := "127.0.0.1"
	if at.Addr().Is6() {
		host = "::1"
	}
	return net.JoinHostPort(host, fmt.Sprint(at.Port()))
}
