// Package cli is the command line: it parses, builds the settings and runs one
// command. A command about stored data speaks the admin API, to the running
// server when there is one, else to the same handlers over the data dir it
// opens itself; so every command does the same either way.
package cli
