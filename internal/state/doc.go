// Package state keeps in state.db what Shopify can't give back: the shops, their
// credentials and selections, why a shop is paused, how far the change feed had
// come, and when each schedule last ran. Limiter and breaker keep buckets of
// their own in the same file.
//
// What it promises:
//
//   - What a method has stored when it returns nil is on disk. After a crash
//     each method has happened as a whole or not at all.
//   - Reading never touches the disk: all records are in memory, so a webhook
//     can be verified while the disk is broken.
//   - A damaged file is set aside, never deleted, and a fresh one takes its
//     place. While the process runs nothing of this package is lost by that: the
//     records are written again from memory. At Open the sound records are kept
//     when the file's structure is sound; each record carries a checksum. Damage
//     tells what happened, and Selection says when it no longer knows.
//   - A file that is removed while it is open is put back with all it held. When
//     another file has taken its place, or its folder is another one, nothing is
//     stored any more until the process ends, and nothing is done to what is there.
//   - After a failed sync nothing more is acknowledged on that file before all
//     of it has been written to a new one.
//
// Secrets live only here (mode 0600), never in the catalogue, and are
// config.Secret in memory. What the environment declares about a shop is never
// stored and wins over what is.
//
// Times are kept to the millisecond, in UTC.
package state
