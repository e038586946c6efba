// Package bulk joins the lines of a bulk operation's result into groups of one
// root and its children, whatever the order of the lines, in bounded memory.
//
// A result is JSONL: each line is an object with an id, a child names its root
// in __parentId (shopify.dev/docs/api/usage/bulk-operations/queries). The
// package knows these two fields and no other. A [Joiner] is fed the bytes as
// they come, cut anywhere. A root that is followed directly by as many children
// as it says it has is handed out at once, from memory. Every other line goes
// into the sort file, an SQLite database, and is handed out at the end, in the
// order of the roots.
//
// # After a crash
//
// [Joiner.Mark] says where to continue. Call [Joiner.Commit] after it, then save
// the mark in the transaction that saves what was made of the groups handed out
// until then. Every line before Mark.Offset is then in a saved group or in the
// sort file, on the disk, however the process ends, and no line behind it is in
// a saved group. A line that is read again is the same row of the sort file.
// The mark counts the rows and adds up their checksums, so a sort file that is
// damaged, or another one, is an error ([ErrSortFile]), never a wrong group:
// start over without a mark.
//
// Units: sizes and offsets are bytes, ids are the numbers at the end of global
// ids.
package bulk
