package fakeshopify

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// topicOf turns PRODUCTS_UPDATE into products/update.
func topicOf(enum string) string {
	for _, t := range []string{"APP_SCOPES_UPDATE", "VARIANTS_IN_STOCK", "VARIANTS_OUT_OF_STOCK"} {
		if enum == t {
			resource, action, _ := strings.Cut(enum, "_")
			return strings.ToLower(resource) + "/" + strings.ToLower(action)
		}
	}
	i := strings.LastIndexByte(enum, '_')
	return strings.ToLower(enum[:i]) + "/" + strings.ToLower(enum[i+1:])
}

func enumOf(topic string) string { return strings.ToUpper(strings.ReplaceAll(topic, "/", "_")) }

func (e *exec) mutation(f *fieldGroup) (any, *gqlError) {
	input, _ := f.args["webhookSubscription"].(map[string]any)
	switch f.Name {
	case "webhookSubscriptionCreate", "eventBridgeWebhookSubscriptionCreate", "pubSubWebhookSubscriptionCreate":
		sub := &Subscription{Topic: topicOf(argString(f, "topic")), Format: "JSON", CreatedAt: e.now, UpdatedAt: e.now, version: e.version}
		if errs := e.edit(sub, input, nil); errs != nil {
			return e.subscribed(f, nil, errs), nil
		}
		sub.ID = e.s.idSource.next(idSubscription, false)
		e.s.subs = append(e.s.subs, sub)
		return e.subscribed(f, sub, nil), nil
	case "webhookSubscriptionUpdate", "eventBridgeWebhookSubscriptionUpdate", "pubSubWebhookSubscriptionUpdate":
		kind, id, _ := splitGID(argString(f, "id"))
		old := e.s.subscription(id)
		if old == nil || old.unlisted() || kind != "WebhookSubscription" {
			return e.subscribed(f, nil, userErrors([]any{"id"}, "Webhook subscription does not exist")), nil
		}
		next := *old
		if errs := e.edit(&next, input, old); errs != nil {
			return e.subscribed(f, nil, errs), nil
		}
		next.UpdatedAt = e.now
		*old = next
		return e.subscribed(f, old, nil), nil
	case "webhookSubscriptionDelete":
		kind, id, _ := splitGID(argString(f, "id"))
		sub := e.s.subscription(id)
		if kind != "WebhookSubscription" || sub == nil || sub.unlisted() || !e.s.unsubscribe(id) {
			return payload("WebhookSubscriptionDeletePayload", "deletedWebhookSubscriptionId", nil,
				userErrors([]any{"id"}, "Webhook subscription does not exist")), nil
		}
		return payload("WebhookSubscriptionDeletePayload", "deletedWebhookSubscriptionId", gid("WebhookSubscription", id), nil), nil
	case "bulkOperationRunQuery":
		return e.bulkRun(f), nil
	case "bulkOperationCancel":
		return e.bulkCancel(f), nil
	}
	return nil, nil
}

// subscribed is the answer to a mutation that makes or changes a subscription.
// Those for one kind of endpoint may have a type of error of their own.
func (e *exec) subscribed(f *fieldGroup, sub *Subscription, errs []any) object {
	typ := f.Definition.Type.Name()
	kind := e.schema.Types[typ].Fields.ForName("userErrors").Type.Name()
	for i, one := range errs {
		m := one.(object).v.(members)
		code := "INVALID_PARAMETERS"
		if m.get("message") == TakenWords {
			code = "TAKEN"
		}
		errs[i] = object{kind, append(m, member{"code", code})}
	}
	var v any
	if sub != nil {
		v = object{"WebhookSubscription", sub}
	}
	return payload(typ, "webhookSubscription", v, errs)
}

func payload(typ, key string, v any, errs []any) object {
	if errs == nil {
		errs = []any{}
	}
	return object{typ, members{{key, v}, {"userErrors", errs}}}
}

func userErrors(field []any, message string) []any {
	var f any
	if field != nil {
		f = field
	}
	return []any{object{"UserError", members{{"field", f}, {"message", message}}}}
}

var subscriptionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`)

// TakenWords is how Shopify refuses a subscription that is there already.
const TakenWords = "Address for this topic has already been taken"

// edit fills sub from the input of a mutation. Its errors name callbackUrl,
// however the caller gave the address.
func (e *exec) edit(sub *Subscription, in map[string]any, old *Subscription) []any {
	address := []any{"webhookSubscription", "callbackUrl"}
	if old == nil && e.s.refusal != "" {
		return userErrors(nil, e.s.refusal)
	}
	for _, name := range []string{"callbackUrl", "arn", "uri"} {
		if v, ok := in[name].(string); ok {
			sub.Address = strings.TrimSpace(v)
		}
	}
	if project, ok := in["pubSubProject"].(string); ok {
		sub.Address = fmt.Sprintf("%s%s:%v", pubSub, project, in["pubSubTopic"])
	}
	if v, ok := in["format"].(string); ok {
		sub.Format = v
	}
	if v, ok := in["filter"].(string); ok {
		sub.Filter = v
	}
	if v, ok := in["name"].(string); ok {
		if !subscriptionName.MatchString(v) {
			return userErrors([]any{"webhookSubscription", "name"}, "Name can only contain alphanumeric characters, underscores, and hyphens")
		}
		sub.Name = v
	}
	if v, ok := in["includeFields"].([]any); ok {
		sub.IncludeFields = nil
		for _, x := range v {
			sub.IncludeFields = append(sub.IncludeFields, fmt.Sprint(x))
		}
	}
	if v, ok := in["metafieldNamespaces"].([]any); ok {
		sub.MetafieldNamespaces = nil
		for _, x := range v {
			sub.MetafieldNamespaces = append(sub.MetafieldNamespaces, fmt.Sprint(x))
		}
	}
	switch {
	case sub.Address == "":
		return userErrors(address, "Address can't be blank")
	case len(sub.Address) > 64<<10:
		return userErrors(address, "Address is too long (maximum is 65536 characters)")
	case !sub.overHTTP():
	default:
		u, err := url.Parse(sub.Address)
		if err != nil || u.Host == "" {
			return userErrors(address, "Address is invalid")
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && e.s.opt.AllowHTTP) {
			return userErrors(address, "Address protocol "+u.Scheme+":// is not supported")
		}
		host := u.Hostname()
		if strings.HasSuffix(host, "myshopify.com") || strings.HasSuffix(host, "shopify.com") ||
			(host == "localhost" || host == "127.0.0.1") && !e.s.opt.AllowHTTP {
			return userErrors(address, "Address cannot be a Shopify or an internal domain")
		}
	}
	if sub.Format == "XML" && (strings.HasPrefix(sub.Topic, "bulk_operations/") || strings.HasPrefix(sub.Topic, "app/")) {
		return userErrors([]any{"webhookSubscription", "format"}, "Format 'xml' is invalid for this webhook topic. Allowed formats: json")
	}
	for _, x := range e.s.subs {
		if x != old && !x.unlisted() && x.Topic == sub.Topic &&
			x.Address == sub.Address && x.Format == sub.Format && x.Filter == sub.Filter {
			return userErrors(address, TakenWords)
		}
	}
	return nil
}

func (e *exec) subscriptionList(f *fieldGroup) []*Subscription {
	text, _ := f.args["query"].(string)
	q := parseQuery(text, "id", "created_at", "updated_at")
	e.warn(f.Alias, text, q)
	topics, _ := f.args["topics"].([]any)
	address := argString(f, "uri")
	if address == "" {
		address = argString(f, "callbackUrl")
	}
	var list []*Subscription
	for _, x := range e.s.subs {
		if x.unlisted() || len(topics) > 0 && !slices.Contains(topics, any(enumOf(x.Topic))) ||
			address != "" && x.Address != address ||
			f.args["format"] != nil && f.args["format"] != x.Format {
			continue
		}
		if q.match(func(field string) ([]any, bool) {
			switch field {
			case "id":
				return []any{x.ID}, true
			case "created_at":
				return []any{x.CreatedAt}, true
			case "updated_at":
				return []any{x.UpdatedAt}, true
			}
			return nil, false
		}) {
			list = append(list, x)
		}
	}
	if argBool(f, "reverse") {
		slices.Reverse(list)
	}
	return list
}

func (e *exec) subscriptionField(x *Subscription, f *fieldGroup) any {
	switch f.Name {
	case "id":
		return gid("WebhookSubscription", x.ID)
	case "legacyResourceId":
		return strconv.FormatInt(x.ID, 10)
	case "topic":
		return enumOf(x.Topic)
	case "uri", "callbackUrl":
		return x.Address
	case "endpoint":
		return x.endpoint()
	case "format":
		return x.Format
	case "filter":
		if x.Filter != "" {
			return x.Filter
		}
	case "name":
		if x.Name != "" {
			return x.Name
		}
	case "includeFields":
		return anys(x.IncludeFields)
	case "metafieldNamespaces":
		return anys(x.MetafieldNamespaces)
	case "apiVersion":
		v := e.s.versionOf(x)
		return object{"ApiVersion", members{{"handle", v}, {"displayName", v}, {"supported", true}}}
	case "createdAt":
		return utc(x.CreatedAt)
	case "updatedAt":
		return utc(x.UpdatedAt)
	}
	return nil
}

// endpoint says the address in the way of before there was uri.
func (x *Subscription) endpoint() object {
	if rest, ok := strings.CutPrefix(x.Address, pubSub); ok {
		project, topic, _ := strings.Cut(rest, ":")
		return object{"WebhookPubSubEndpoint", members{{"pubSubProject", project}, {"pubSubTopic", topic}}}
	}
	if !x.overHTTP() {
		return object{"WebhookEventBridgeEndpoint", members{{"arn", x.Address}}}
	}
	return object{"WebhookHttpEndpoint", members{{"callbackUrl", x.Address}}}
}

// versionOf is the version that serialises the subscription's bodies: the one
// of the URL that made it.
func (s *Shop) versionOf(x *Subscription) string {
	if x.version == "" {
		return s.opt.APIVersion
	}
	return x.version
}
