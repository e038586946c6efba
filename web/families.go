package web

// family is one metric family as /metrics describes it. labels are the names of
// its labels, separated by spaces, le left out.
type family struct {
	name, kind, labels, help string
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
	{"shopify_webhooks_total", counter, "shop type status", "Accepted webhooks by shop, type (create, update, delete, or the topic; of Events event_ and the topic) and status (success or error)."},
	{"shopify_sync_duration_seconds", histogram, "shop operation_type", "Time that one operation took, by shop and type of operation."},
	{"shopify_sync_errors_total", counter, "shop operation_type error_type", "Failed operations by shop, type of operation and type of error."},
	{"shopify_rate_limit_hits_total", counter, "shop", "Calls to Shopify that were delayed or denied here or throttled there, by shop."},

	{"stockroom_webhooks_received_total", counter, "", "Requests below /webhooks/shopify/."},
	{"stockroom_deliveries_total", counter, "outcome", "Accepted webhooks by outcome, counted once at the answer."},
	{"stockroom_webhooks_rejected_total", counter, "reason", "Refused webhooks by reason. The cause of one wrong signature a second is looked for; the others count as wrong_secret."},
	{"stockroom_webhooks_old_secret_total", counter, "", "Accepted webhooks that were signed with the previous client secret."},
	{"stockroom_connections_open", gauge, "", "Open connections of the public listener."},
	{"stockroom_connections_closed_total", counter, "", "Connections of the public listener that were closed because there were too many: first those without a right signature."},

	{"stockroom_store_healthy", gauge, "store", "1 while the store can make a change durable, else 0."},
	{"stockroom_catalogue_write_failures_total", counter, "cause", "Groups of changes that the catalogue could not take, by cause."},
	{"stockroom_catalogue_closed_seconds", gauge, "", "For how long the catalogue has taken no webhooks because it fails, 0 while it works. They are offered to the retry queue."},
	{"stockroom_store_quarantines_total", counter, "store", "Damaged files that were moved aside, by store."},
	{"stockroom_group_commit_size", histogram, "", "Changes committed to the catalogue in one transaction."},
	{"stockroom_commit_sync_seconds", histogram, "", "Time of one commit to the catalogue, its fsync included."},
	{"stockroom_wal_bytes", gauge, "", "Size of the catalogue's write-ahead log."},
	{"stockroom_change_seq", gauge, "", "Newest number of the change feed."},

	{"stockroom_queue_jobs", gauge, "state", "Jobs in the retry queue by state."},
	{"stockroom_queue_oldest_age_seconds", gauge, "", "Age of the oldest job that waits, 0 when none does."},
	{"stockroom_queue_jobs_stuck", gauge, "", "Jobs that do not end in their time, nor when they are told to. A restart ends them."},
	{"stockroom_queue_dead_letters", gauge, "", "Jobs that need a person: they failed for good and are kept. Deliveries that do not fit their topic or shop are not counted: anybody who has seen one can send such."},

	{"stockroom_shops", gauge, "state", "Connected shops by state."},
	{"stockroom_shops_paused", gauge, "reason", "Connected shops whose calls wait, by reason."},
	{"stockroom_breaker_state", gauge, "shop", "Circuit of calls to the shop: 0 closed, 1 half-open, 2 open."},
	{"stockroom_breaker_transitions_total", counter, "to", "Changes of circuits by the state they changed to."},
	{"stockroom_limiter_points_used", gauge, "shop", "Shopify points that are spent or under way in the present window, by shop."},
	{"stockroom_limiter_points_budget", gauge, "shop", "Shopify points that a window may hold, by shop."},
	{"stockroom_throttled_self_total", counter, "", "Calls that Shopify throttled because of what we had sent ourselves. Should stay 0."},
	{"stockroom_api_version_support_seconds", gauge, "", "For how long the version of the Admin API in use is still served, to the day."},
	{"stockroom_condition", gauge, "code", "How often a line of the account of health holds: for how many shops, or 1 when it is about everything."},
	{"stockroom_notifications_total", counter, "result", "Messages about the state by result: sent and failed (tries, by target), given_up after an hour, held back as there were too many. Absent without --notify-file."},
	{"stockroom_certificate_expires_timestamp_seconds", gauge, "name", "When the certificate of a name of ours ends, in seconds since 1970, 0 while there is none. Absent without --https."},
	{"stockroom_undelivered_changes", gauge, "shop", "Changes of the last day that were read before a delivery brought them."},
	{"stockroom_in_step", gauge, "shop", "1 while the copy is known to equal the shop's products, else 0. The worst of the shops that share a label."},
	{"stockroom_staleness_seconds", gauge, "shop", "Time since the copy was last shown to equal the shop's products, +Inf when it never was. The worst of the shops that share a label."},
	{"stockroom_products", gauge, "shop where", "Products in the copy (where=local) and in the shop by its own count (where=shop, absent until the shop has told it)."},
	{"stockroom_drift_products", gauge, "shop kind", "Products that the last comparison with the shop found missing here, different, or extra here. Absent before the first."},
	{"stockroom_sync_running", gauge, "shop", "Syncs and comparisons that run now."},
	{"stockroom_sync_products_read", gauge, "shop", "Products that the running sync has read so far, 0 when none runs."},
	{"stockroom_sync_products_expected", gauge, "shop", "Products that the running sync has to read, 0 when that is not known or none runs."},
	{"stockroom_schedule_last_success_timestamp_seconds", gauge, "shop schedule", "When a scheduled job last went well, in seconds since 1970, 0 for never. The oldest of the shops that share a label."},
	{"stockroom_schedule_late", gauge, "shop schedule", "1 when a scheduled job was missed: no success for more than twice its time. The worst of the shops that share a label."},
	{"stockroom_subscriptions_present", gauge, "shop", "1 when every webhook subscription that is needed was there at the last check, else 0, also before the first. In pull mode none is needed. The worst of the shops that share a label."},
	{"stockroom_look_pull", gauge, "shop", "1 in pull mode, where changes are looked for and no delivery is waited for, else 0."},
	{"stockroom_look_age_seconds", gauge, "shop", "Time since changes were last looked for with success, +Inf when they never were. The worst of the shops that share a label."},
	{"stockroom_look_interval_seconds", gauge, "shop", "Time from one look for changes to the next, as it stands now. The longest of the shops that share a label."},
	{"stockroom_look_changes_waiting", gauge, "shop", "Changes that were found by looking for them and are not read yet."},
	{"stockroom_disk_free_bytes", gauge, "", "What can still be written to the disk of the data dir, the reserve not counted."},
	{"stockroom_backup_age_seconds", gauge, "", "Time since the newest good backup by schedule, +Inf without one. Absent without --backup-every."},
	{"stockroom_backup_bytes", gauge, "", "Size of the newest good backup by schedule. Absent without --backup-every."},
	{"stockroom_backups_failed_total", counter, "", "Backups by schedule that were due and could not be made. Absent without --backup-every."},
	{"stockroom_disk_total_bytes", gauge, "", "What the disk of the data dir holds, free and used; 0 when the system does not tell."},
	{"stockroom_disk_state", gauge, "level", "1 for the level that the room on the disk is at, else 0: low (less than --space-warn), critical (deliveries are at stake) or unknown."},
	{"stockroom_log_lines_left_out_total", counter, "", "Log lines that were left out, since whoever reads the log did not take them in time."},
	{"stockroom_build_info", gauge, "version goversion", "1, with the version and the Go release in its labels."},

	{"process_start_time_seconds", gauge, "", "When the process started, in seconds since 1970."},
	{"process_cpu_seconds_total", counter, "", "Processor time of the process, user and system."},
	{"process_resident_memory_bytes", gauge, "", "Memory of the process that is resident."},
	{"process_open_fds", gauge, "", "Open file descriptors."},
	{"process_max_fds", gauge, "", "Most file descriptors that may be open."},
	{"go_goroutines", gauge, "", "Goroutines there are."},
	{"go_memory_heap_bytes", gauge, "", "Memory that live and not yet collected objects take."},
	{"go_gc_cycles_total", counter, "", "Garbage collections completed."},
}
