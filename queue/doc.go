// Package queue is a durable retry queue in one bbolt file. It moves bytes with
// a kind and a key and knows nothing of what they mean.
//
// A job waits until it is due, is leased to a handler, and ends by being done
// (forgotten) or dead (kept until a person or a later success removes it):
//
//	           Enqueue                      nil
//	             |                       +-------> forgotten
//	             v        due            |
//	+------> waiting ------------> leased
//	|          ^  ^                 | | |
//	|          |  +-----------------+ | |
//	|          |   error: backoff,    | |
//	|          |   one attempt spent  | |
//	|          +----------------------+ |
//	|            Snooze, process ended: |
//	|            no attempt spent       |
//	|                                   v
//	+------------------------------- dead <--- Bury
//	               Retry            Permanent, attempts used up,
//	                                three times leased when the process ended
//
// What it promises:
//
//   - When Enqueue, EnqueueAll or Bury return nil, the job is on disk (fsync) and
//     stays in the file, through crash and power cut, until its handler returned
//     nil, it was discarded or resolved, or a newer job of the same kind and key
//     took its place. An error may hide a commit that happened.
//   - Before a handler is called, the attempt and the time of the next one are on
//     disk. Attempts never exceed Options.MaxAttempts. A restart never shortens a
//     wait. A job may run twice: its effect has to bear that.
//   - A job leased when the process died is due at once at the next Open, without
//     an attempt; the third time it is dead with class "crash".
//   - A kind without a worker waits and is counted; nothing else happens to it.
//   - One job of a kind and key runs at a time, and at most one waits.
//   - A handler that does not return in its time, nor when its context ends, holds
//     up neither its kind nor Close. Its job stays leased: nothing of it may run
//     twice at once.
//   - Dead letters are never trimmed. Ids are never used twice.
//   - A damaged file is set aside and replaced, at Open and while running, and
//     Quarantined says so. A single record that can't be understood is moved to a
//     bucket of its own, counted, and stops nothing else.
//   - A file that is removed while it is open is put back with all it held. When
//     another file has taken its place, or its folder is another one, calls that
//     write fail until the process ends, reads go on from the open file, and
//     nothing is done to what is there.
//   - On a full disk calls fail with ErrUnavailable, keep nothing by halves, and
//     work again when there is space. After a failed sync nothing is acknowledged
//     before everything was copied to a new file.
//
// Waits and clocks: a wait is kept as the time it was set and the time it ends.
// When the clock is found behind the time a wait was set (it was put back), the
// whole wait starts again from now, so none lasts longer than it was meant to
// from then on. A clock put forward ends waits early; it spends at most the
// attempts there are.
//
// The file (all numbers big-endian, times in nanoseconds since 1970 UTC):
//
//	jobs      id                   -> record (waiting, leased)
//	dead      id                   -> record (dead)
//	payloads  id                   -> the job's bytes
//	due       kind 0 due id        -> nothing; waiting jobs in the order they are due
//	keys      kind 0 key           -> id of the waiting job
//	deadkeys  kind 0 key 0 id      -> nothing
//	damaged   bucket 0 key         -> a record that could not be understood
//	meta      "format"             -> "2"
//	          "quarantine"         -> JSON, what was set aside last, until it is healed
//	          "note"               -> a value of the owner's
//
// due, keys and deadkeys follow from the records and are rebuilt at Open when
// they disagree with them. Records and payloads carry checksums. A record of format
// 1 is read as well.
//
// Counts, and ids by kind and by the labels LabelShop and LabelTopic, are kept in
// memory: read from the records at Open, changed with each commit after it.
//
// Everything is written by one goroutine that takes what is waiting into one
// transaction (group commit) and never waits for more.
package queue
