// Package fakeshopify is a simulated Shopify shop: products that people edit,
// the webhooks Shopify would send about them, and the Admin API that serves
// them.
//
// It is deterministic: the same Options.Seed, the same calls and the same
// clock give the same bytes, ids included. It keeps everything in memory and
// promises nothing after a crash; it is the thing that a mirror is compared
// with, so it must outlive the process under test or be rebuilt from its seed.
//
// It imports nothing else of this module. The encoding here and the decoding
// there are written apart, so that one mistake cannot hide on both sides.
//
// # What it does
//
// [New] makes a shop with a catalogue. Edits are made with [Shop.RandomEdit],
// [Shop.UpdateProduct] and their like; each queues webhooks for the topics
// subscribed, and Events for [Shop.SubscribeEvents]. They are sent by [Shop.Run] at the clock's pace, or by
// [Shop.Drain], [Shop.DeliverDue] and [Shop.DrainAll] one after the other, for
// tests. [Shop.Handler] serves the Admin API: GraphQL checked and executed
// against schema.graphql, a subset of Shopify's own made by gen; costs and the
// bucket of points; tokens and the page of consent, by APIOptions.Grant; bulk
// operations and their results. [Shop.Consent] does what the shop's owner does
// on that page. [Transport] calls a handler without a socket, so all of it works
// in a synctest bubble.
//
// # What goes wrong
//
// [Chaos] makes trouble by the seed, [Shop.Fail] and [Shop.FailBulk] on
// demand. Searches lag behind edits and miss some with APIOptions.IndexLag and
// IndexLost, and their filter breaks with [Shop.BreakFilter]. [Shop.Deliveries],
// [Shop.Stats], [Shop.APICalls] and [Shop.APIStats] say what happened,
// [Shop.Snapshot] what is true.
//
// # What it is not
//
// Costs follow the formula in gqlcost.go, which agrees with the measured
// figures and is not Shopify's. Where no text of an error was recorded, the
// words are ours. Introspection is not answered. Subscriptions to Pub/Sub and
// EventBridge are kept and listed, and nothing is sent to them.
//
// Units: times are instants at 1 s resolution where Shopify has 1 s, money is
// decimal text, weights are a number and a unit, probabilities are 0 to 1.
package fakeshopify
