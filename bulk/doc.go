// Package bulk reads the result of a bulk operation: lines of JSON, each an
// object of its own, a child naming its parent in __parentId. It joins them
// into groups of one root and its children, whatever the order of the lines,
// in bounded memory.
package bulk
