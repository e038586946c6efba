// Package answer is how an HTTP answer looks, whoever gives it: JSON with an ETag,
// and for a request that can't be served a Refusal, which is problem+json (RFC 9457).
//
// Promises:
//   - A Refusal says in one plain sentence what is wrong and what to do. Programs go by
//     its status and its code, which do not change; its words may.
//   - Instants are in UTC and in milliseconds, and a list is never null.
//   - A document is encoded before its first byte is sent: a value that can't be
//     encoded becomes an error and no half answer.
//   - A client that has a document already gets 304 and no body.
//   - A request that carries an Idempotency-Key has one effect and one answer,
//     however often it is sent, until the process ends.
//   - What is said of a request's body names members and never repeats a value: it
//     may be a secret.
//
// It knows none of our stores. What their errors mean to a client is decided by the
// package that serves them.
package answer
