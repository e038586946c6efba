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
