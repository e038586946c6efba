package config

import (
	"cmp"
	"path/filepath"
)

// Command writes a command line that a person can paste: the program as it was
// called, the words, and the data dir where the command would not find it.
func (s Settings) Command(words string) string {
	words = ShellQuote(cmp.Or(s.Program, "stockroom")) + " " + words
	data, _ := named("data")
	usual, err := filepath.Abs(data.Default)
	if s.DataDir == "" || err == nil && s.DataDir == usual {
		return words
	}
	return words + " --data " + ShellQuote(s.DataDir)
}

// ConnectWords are what connects a shop anew, for Command: with a placeholder
// where a person has to fill something in.
func ConnectWords(shop string) string { return "shop add " + shop + " --api-key CLIENT_ID" }
