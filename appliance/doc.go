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
package appliance
