package config

import "path/filepath"

// defaultData is the data dir of a command that is not told another one.
const defaultData = "./stockroom-data"

// Command writes a command line that a person can paste: the program's name, the
// words, and the data dir where the command would not find it by itself.
func (s Settings) Command(words string) string {
	usual, err := filepath.Abs(defaultData)
	if s.DataDir == "" || err == nil && s.DataDir == usual {
		return "stockroom " + words
	}
	return "stockroom " + words + " --data " + ShellQuote(s.DataDir)
}

// ConnectWords are what connects a shop anew, for Command: with a placeholder
// where a person has to fill something in.
func ConnectWords(shop string) string { return "shop add " + shop + " --api-key CLIENT_ID" }
