// Package backup writes all stores of a data dir into one stream, reads such a stream
// and puts one in the place of what a data dir holds.
//
// The stream is tar inside gzip, in this order:
//
//	manifest.json   what it is of: a Manifest, with the size of each file
//	products.db     the catalogue
//	queue.db        what waits, and dead letters
//	state.db        shops, selections and marks; without credentials, tokens, password
//	                and sessions unless they were asked for. The windows of calls and
//	                open circuits are never in it: a restored copy begins as if all
//	                points were spent
//	stockroom.toml  when there is one in the data dir; it holds no secrets
//	end.json        the SHA-256 of each file before it
//
// What it promises:
//
//   - All stores are as they were at one moment: what was acknowledged before it is in
//     the stream, what came after it is not. For that moment the writers of all three
//     stand still for some milliseconds, that of queue.db as long as its copying takes.
//   - What is written was opened and looked through before, as copies that lie in the
//     data dir meanwhile. A stream that was cut or changed in one byte is known by its
//     end.json and is never taken for a whole one.
//   - A file gets its name only when it was written, synced, and read again.
//   - Restore changes nothing before all of the stream was read and opened. Then it
//     happens as a whole, also over a crash (see datadir.Dir.Replace), and what was
//     there before stays in a folder of the data dir.
//
// Memory is bounded, whatever the sizes. A crash leaves copies in the data dir, which
// the next start removes, and an unfinished file, which the next backup to the same
// name, or by schedule into the same folder, removes.
package backup
