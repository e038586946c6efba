// Package certs gets the certificates for HTTPS from an ACME authority, such as
// Let's Encrypt, keeps them in the folder "certificates" of the data dir, and renews
// them. It wraps certmagic, whose events say how each name stands: see State.
//
// What it promises:
//
//   - A certificate that is kept is used from the start on, whatever the authority,
//     the network or the disk do. There is nothing to wait for.
//   - Only the names that it was given have a certificate. Another name, or none, ends
//     the handshake; none is asked for because a stranger named it.
//   - Renewal begins at half of a certificate's life (at 45 of 90 days left), or when
//     the authority asks for it (ARI). It is late, which is an alarm, at 30 days left,
//     or at a third of its life where that is shorter: see State.Late.
//   - A try that failed is repeated for as long as the process runs: a first certificate
//     after 2 minutes to 1 hour, a renewal within 6 hours.
//
// After a crash in the middle of a try there is the old certificate or the new one: each
// file is written beside the old one, synced and renamed. The key and the certificate of
// one try are two files; a pair that does not fit counts as one that can't be read, which
// the state says. The first try after it may wait ten seconds for the
// lock of the dead process. The account at the authority is kept too, so that a crash makes no new
// one. Nothing else is kept: which tries failed is known from the next one on.
package certs
