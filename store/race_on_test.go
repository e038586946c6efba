//go:build race

package store

const underRace = true // heavy tests do less
