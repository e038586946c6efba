// Package appliance puts the parts together: it opens the data dir and the
// stores, serves deliveries and the status page, and stops everything in the
// reverse order.
//
//	public listener            admin listener
//	      |                          |
//	   webhook  ---- wanted ---->  queue
//	      |                          |
//	    store  <--- webhook.Run -----+
//	      |
//	    state  (watermark, shops, selections)
//
// What can hold a delivery, a probe or the stop, and for how long:
//
//	a delivery   a sender that is slow with its body: 5 s, then it goes to the queue
//	             products.db (the disk, a lock of another program): until 3 s after it
//	             began; then queue.db, until 4.3 s; then it is answered 503
//	             state.db: never; what it holds is in memory. An erasure that the law
//	             asks for waits for it within the same 3 s
//	/healthz     nothing
//	/readyz      a probe of products.db that failed before: 1 s; queue.db, when it is
//	             being copied to a new file: 1.5 s; then it counts as unusable
//	page,        the same, 1 s for the jobs by shop and 1 s a shop for products.db; the
//	/metrics     first look at a shop's points waits for state.db, later ones do not.
//	             Numbers and lists of products are read as long as the client waits
//	the stop     requests in flight: 5 s, then they are cut off; jobs that do not hear:
//	             2 s; the rest as long as the disk takes. The command line ends the
//	             process 8.5 s after the first signal or the beginning of the stop,
//	             whatever is left, and at a second signal at once
//
// Nothing of it is held by whoever reads the log (see logbook), an export, a page or an
// event stream, for no answer is written with a lock or a reader of a file in hand; by a
// shop that does not answer; or by a name server, for only calls to Shopify ask one. A
// service manager that does not listen has 1 s. What a process waits for inside the
// kernel and can't be interrupted, such as a dead network disk, may hold its end too.
//
// Start order: data dir and its lock, state.db, products.db, queue.db, what the
// environment declares, listeners, workers. Stop order: listeners refuse new
// requests and finish those in flight, workers end, then queue, catalogue,
// state and the lock. Everything acknowledged is durable at every moment, so a
// kill at any point of either order loses nothing.
//
// When the data dir or its lock is not the one that was opened any more, which a
// watch looks at every second and each commit of a store with it, everything is
// answered with 503 and the process ends without closing the stores.
package appliance
