package config

// Source is a place where a setting's value can come from, weakest first.
type Source uint8

const (
	FromDefault Source = iota
	FromFile
	FromEnv
	FromFlag
)

// Origin is where the value in force came from.
type Origin struct {
	Source Source
	Where  string // "--listen", "STOCKROOM_LISTEN", or the settings file's path
}

// String returns "default", "file PATH", "environment NAME" or "flag --NAME".
func (o Origin) String() string {
	switch o.Source {
	case FromFile:
		return "file " + o.Where
	case FromEnv:
		return "environment " + o.Where
	case FromFlag:
		return "flag " + o.Where
	}
	return "default"
}
