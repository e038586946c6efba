// Package shopify calls the Admin API of connected shops: one small client that
// owns the chain every call goes through.
//
//	Client.read        a few tries in this process, for reads only
//	  Client.call      one try; a second one after a 401, with a new token
//	    breaker.Allow  open: *Error of KindOpen, with the time of the next try
//	      limiter.Acquire by the bound of the query's cost; too long: KindBudget
//	        http.Client
//
// What came of a call is an *Error or nil, and Judge says for each what the
// limiter, the breaker and the job that asked have to do about it.
//
// The package keeps nothing on disk itself. Tokens, budgets, learnt costs and
// the states of circuits are kept by those it is given, so a crash loses at
// most one answer: a read is asked again, and a mutation has to be looked for
// before it is repeated.
//
// Units: costs are Shopify points, instants of products are Unix milliseconds in
// UTC, weights are whole grams.
package shopify
