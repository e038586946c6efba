// Package status is the one account of how everything stands: what is known, as
// of when, what is wrong, why, and what happens next. The status page, the API,
// the metrics, readiness, the doctor and the log read it and judge nothing
// themselves, so that they can't contradict each other.
//
// Facts are read once for each account, from the stores, the syncer, the client
// and the intake; nobody is asked. One ordered table (table.go), from worst to
// best, turns them into lines: each row says when it holds, its sentence, what
// happens next and the command to type. The first line is the headline. A row
// names the step that failed itself, never a bystander.
//
// Nothing is green that is not known: the last row says as of which instant the
// copy was proven to equal the shop's, and it holds only where none before it
// does. One state alone is damped, that known changes are being read: it becomes
// a line after 5 s. Whatever else gets worse shows at once, and what gets better
// needs its proof.
//
// Nothing here is stored, so a crash loses nothing: an account after a restart is
// made of what the stores hold. Times are instants; Words keep them apart from
// the text, so that each reader sees them in a zone of their own.
package status
