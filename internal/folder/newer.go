package folder

import (
	"encoding/json"
	"fmt"
)

// NewerError says that a newer Stockroom wrote a file. Nothing was changed in it.
type NewerError struct {
	File string
	// Noted is what the program noted in the file last: JSON that names its version.
	Noted []byte
}

func (e *NewerError) Error() string {
	var by struct{ Version string }
	_ = json.Unmarshal(e.Noted, &by) // what can't be read names none
	who, use := "a newer version of Stockroom", "that version"
	if by.Version != "" {
		who, use = fmt.Sprintf("Stockroom %s, which is newer than this one", by.Version), "version "+by.Version
	}
	return fmt.Sprintf("%s was written by %s, and was left as it is; use %s or a later one, "+
		"or \"stockroom restore\" with a backup from before the update", e.File, who, use)
}
