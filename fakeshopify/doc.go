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
// Units: times are instants at 1 s resolution where Shopify has 1 s, money is
// decimal text, weights are a number and a unit, probabilities are 0 to 1.
package fakeshopify
