// Package webhook takes Shopify's deliveries: it checks the signature, makes
// the change durable and only then answers.
//
// What it promises. A 2xx answer means that the change is committed with fsync,
// in the catalogue or, when that can't take it now, in the retry queue (the
// answer then says queued), or as a dead letter when the body makes no sense.
// A 503 because neither confirms means that nothing is certain: a commit that was
// given up may still come to the disk, and Shopify's next attempt is then a duplicate.
// After any other answer nothing of the request was kept. This holds over kill -9 and
// a power cut.
//
// Order of the checks: method, declared length, encoding, presence of the headers, the
// signature over the raw bytes, the shop, the topic, the body. Nothing of a body is
// parsed before its signature holds, but for the shop's name in that of a compliance
// topic without a shop header, and nothing but the body is trusted after it: topic,
// shop and ids in headers are not signed.
//
// What is not authentic costs the same whatever it claims and however many shops
// there are: one read within the limits, and as many digests as the shop with the
// most secrets has. The answer is one for every wrong signature. Its likely cause is
// for the operator; it is looked for at most once a second.
//
// Time. Shopify gives up after five seconds (shopify.dev, verify deliveries).
// The catalogue has the first three, the queue the next one; then the answer is
// 503, which makes Shopify send it again. After one exhausted budget the
// deliveries go straight to the queue until a probe commits to the catalogue.
package webhook
