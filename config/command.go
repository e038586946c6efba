package config

import (
	"cmp"
	"path/filepath"
)

// defaultData is the data dir of a command that is not told another one.
const defaultData = "./stockroom-data"

// Command writes a command line that a person can paste: the program as it was
// called, the words, and the data dir where the command would not find it.
func (s Settings) Command(words string) string {
	words = ShellQuote(cmp.Or(s.Program, "stockroom")) + " " + words
	usual, err := filepath.Abs(defaultData)
	if s.DataDir == "" || err == nil && s.DataDir == usual {
		return words
	}
	return words + " --data " + ShellQuote(s.DataDir)
}

// ConnectWords are what connects a shop anew, for Command: with a placeholder
// where a person has to fill something in.
func ConnectWords(shop string) string { return "shop add " + shop + " --api-key CLIENT_ID" }
