// Package admit decides who may come in on the admin side.
//
// Every request needs a credential, wherever it comes from: a proxy or tunnel on this
// machine brings strangers from 127.0.0.1. The ways in are the admin token, named
// tokens that only read, the password, and a session that was begun with the password
// or a one-time link. Without one there are only health and the pages for logging in
// and for the first run. Only a demo, whose data is invented, is open to its machine.
//
// Promises:
//   - The Host header must be a known name, so that a website can't reach the page by
//     pointing its own name at this machine (DNS rebinding), and what another website
//     causes is refused.
//   - Sessions and read-only tokens outlive a restart, and only their hashes are kept.
//     A session is over with the password it was begun under; what is open for it, an
//     event stream, ends with it.
//   - Wrong passwords are limited by browser, address, network and in all, and no
//     number of them keeps the owner out.
//   - A request's address is that of its connection, unless a trusted proxy names
//     another.
//   - Secrets are compared in constant time and stand in no log, error or answer.
package admit
