// Package bulk joins the lines of a bulk operation's result into groups of one
// root and its children, whatever the order of the lines, in bounded memory.
//
// A result is JSONL: each line is an object with an id, a child names its root
// in __parentId (shopify.dev/docs/api/usage/bulk-operations/queries). The
// package knows these two fields and no other. A [Joiner] is fed the bytes as
// they come, cut anywhere, and hands out a [Group] as soon as it has as many
// children as its root says. What waits longer than the memory allows is
// written, sorted by root, to a spill file, and merged at the end.
//
// # After a crash
//
// [Joiner.Mark] says where to go on. Saved together with what was made of the
// groups handed out until then, in one transaction, it makes sure that every
// group is handed out again or was saved, however the process ended: every line
// before Mark.Offset is in a group that was handed out or in the first
// Mark.Spilled bytes of the spill file, which are on the disk before a mark
// names them. Counts go on where they were. A spill file that was damaged is an
// error ([ErrSpill]), never a wrong group: start over without a mark.
//
// Units: sizes and offsets are bytes, ids are the numbers at the end of global
// ids.
package bulk
