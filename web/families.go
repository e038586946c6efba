package web

// family is one metric family as /metrics describes it.
type family struct {
	name, kind, help string
}

// The kinds of the text format.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// shopifyFamilies are the four that operators' dashboards rely on.
const shopifyFamilies = 4

// families lists every family there is, in the order they are written. A
// package that adds a metric adds its line here; a test fails without it.
var families = []family{
	{"shopify_webhooks_total", counter, "Accepted webhooks by shop, type (create, update, delete, or the topic) and status (success or error)."},
	{"shopify_sync_duration_seconds", histogram, "Time that one operation took, by shop and type of operation."},
	{"shopify_sync_errors_total", counter, "Failed operations by shop, type of operation and type of error."},
	{"shopify_rate_limit_hits_total", counter, "Calls to Shopify that were delayed or denied here or throttled there, by shop."},

	{"stockroom_webhooks_received_total", counter, "Requests below /webhooks/shopify/."},
	{"stockroom_deliveries_total", counter, "Accepted webhooks by outcome, counted once at the answer."},
	{"stockroom_webhooks_rejected_total", counter, "Refused webhooks by reason."},
	{"stockroom_webhooks_old_secret_total", counter, "Accepted webhooks that were signed with the previous client secret."},

	{"stockroom_store_healthy", gauge, "1 while the store can make a change durable, else 0."},
	{"stockroom_catalogue_write_failures_total", counter, "Groups of changes that the catalogue could not take, by cause."},
	{"stockroom_catalogue_closed_seconds", gauge, "For how long webhooks have been going to the retry queue because the catalogue fails, 0 while it works."},
	{"stockroom_store_quarantines_total", counter, "Damaged files that were moved aside, by store."},
	{"stockroom_group_commit_size", histogram, "Changes committed to the catalogue in one transaction."},
	{"stockroom_commit_sync_seconds", histogram, "Time of one commit to the catalogue, its fsync included."},
	{"stockroom_wal_bytes", gauge, "Size of the catalogue's write-ahead log."},
	{"stockroom_change_seq", gauge, "Newest number of the change feed."},

	{"stockroom_queue_jobs", gauge, "Jobs in the retry queue by state."},
	{"stockroom_queue_oldest_age_seconds", gauge, "Age of the oldest job that waits, 0 when none does."},
	{"stockroom_queue_dead_letters", gauge, "Jobs that need a person: they failed for good and are kept."},

	{"stockroom_shops", gauge, "Connected shops by state."},
	{"stockroom_shops_paused", gauge, "Connected shops whose calls wait, by reason."},
	{"stockroom_breaker_state", gauge, "Circuit of calls to the shop: 0 closed, 1 half-open, 2 open."},
	{"stockroom_breaker_transitions_total", counter, "Changes of circuits by the state they changed to."},
	{"stockroom_limiter_points_used", gauge, "Shopify points that are spent or under way in the present window, by shop."},
	{"stockroom_limiter_points_budget", gauge, "Shopify points that a window may hold, by shop."},
	{"stockroom_throttled_self_total", counter, "Calls that Shopify throttled because of what we had sent ourselves. Should stay 0."},
	{"stockroom_api_version_support_seconds", gauge, "For how long the version of the Admin API in use is still served, to the day."},
	{"stockroom_build_info", gauge, "1, with the version and the Go release in its labels."},

	{"process_start_time_seconds", gauge, "When the process started, in seconds since 1970."},
	{"process_cpu_seconds_total", counter, "Processor time of the process, user and system."},
	{"process_resident_memory_bytes", gauge, "Memory of the process that is resident."},
	{"process_open_fds", gauge, "Open file descriptors."},
	{"process_max_fds", gauge, "Most file descriptors that may be open."},
	{"go_goroutines", gauge, "Goroutines there are."},
	{"go_memory_heap_bytes", gauge, "Memory that live and not yet collected objects take."},
	{"go_gc_cycles_total", counter, "Garbage collections completed."},
}
