package boltfile

import "os"

// Check returns nil when the structure of the file at path is sound.
func Check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = examine(f)
	return err
}
