package certs

// Words are those of a try that failed.
func Words(name, directory, folder string, err error) string {
	return words(name, directory, folder, err)
}

// ErrStore is of what could not be stored.
var ErrStore = errStore
