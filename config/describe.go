package config

// Entry is one line of "config print".
type Entry struct {
	Name    string `json:"name"`    // the flag without dashes, or the variable for what has no flag
	Value   string `json:"value"`   // as a person writes it; secrets are redacted, "" for none
	Origin  string `json:"origin"`  // "default", "file PATH", "environment NAME" or "flag --NAME"
	Default string `json:"default"` // "" for none
	Env     string `json:"env"`
	Help    string `json:"help"`
}

// Describe lists every setting with its value in force, then the shop that
// the environment declares, in the order they are documented.
func (s Settings) Describe() []Entry {
	var entries []Entry
	for _, row := range All() {
		name := row.Name
		if row.EnvOnly {
			name = row.Env
		}
		entries = append(entries, Entry{name, row.show(&s), s.origins[row.Name].String(), row.Default, row.Env, row.Help})
	}
	for _, v := range shopVariables() {
		entries = append(entries, Entry{v.name, v.show(s.Shop), s.origins[v.name].String(), "", v.name, v.help})
	}
	return entries
}
