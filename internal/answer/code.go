package answer

// Codes of refusals that a program may have to tell apart. They do not change.
const (
	CodeDeclared        = "declared-by-environment"
	CodeNoPublicAddress = "no-public-address"
	CodeCredentials     = "credentials" // one is missing, or is not what it was given as
	CodeRefused         = "shopify-refused"
	CodeUnreachable     = "shopify-unreachable"
	CodeNotNow          = "not-now"
	CodeUnknownShop     = "unknown-shop"
	CodeSyncRuns        = "sync-runs"      // another one, which has to end first
	CodeSyncNotBegun    = "sync-not-begun" // it was asked for, and begins later
	CodeNothingWorks    = "nothing-works"  // no server works on the data dir
)
