// Package notify tells people who look at no page that something is wrong, and that it is
// well again. It reads the account of status and judges nothing itself but this: whether a
// line is a reason for a message (alarm.go), and when.
//
// What it promises:
//
//   - A trouble that lasts for Options.After is told once, and once more when it is over.
//     One that comes again within a few minutes is the same one. At most four messages
//     leave in an hour; what was held back is told in the next one.
//   - What strangers can cause is no reason for a message.
//   - Nothing waits for it: See hands an account over and returns. A try to send ends after
//     10 s, follows no redirect, and is repeated for an hour.
//   - Of a URL only its scheme and the host that is asked are ever shown. What a service or
//     a library says is never repeated, for it may hold the URL; it is put in our own words.
//
// What was told and what is still to be sent is one record in state.db. After a crash a
// trouble that was told is not told again, and a message that was decided on is sent. The
// one case of doubt is a crash between a message that arrived and the note of that: it is
// sent twice, never lost.
//
// The forms of the URLs are those of shoutrrr, which reads them. It does not send: its
// services follow redirects, wait without end, and repeat the URL in their errors.
package notify
