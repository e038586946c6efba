//go:build !race

package web

// raceDetector makes heavy tests lighter.
const raceDetector = false
