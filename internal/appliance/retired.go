package appliance

import (
	"slices"
	"sync"

	"stockroom/internal/config"
	"stockroom/internal/state"
)

const retiredKept = 16

// retired remembers the newest secrets that were replaced twice while this
// process ran. They verify nothing; a delivery signed with one is refused with
// the words that say so. They are in memory only, since a secret that is no
// longer in use has no business on the disk.
type retired struct {
	mu      sync.Mutex
	secrets [][]byte
}

// add takes the secrets of before that are not among those of now.
func (r *retired) add(before, now state.Credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range []config.Secret{before.APISecret, before.PreviousSecret} {
		if old.IsSet() && !old.Equal(now.APISecret) && !old.Equal(now.PreviousSecret) {
			r.secrets = append(r.secrets, []byte(old.Reveal()))
		}
	}
	r.secrets = r.secrets[max(0, len(r.secrets)-retiredKept):]
}

func (r *retired) list() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.secrets)
}
