package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"stockroom/internal/catalog"
	"stockroom/internal/syncer"
)

// The page's example asks for exactly the Events that something follows from.
func TestTheExampleOfEventsIsWhatIsUsed(t *testing.T) {
	var app struct {
		Events struct {
			APIVersion   string `toml:"api_version"`
			Subscription []struct {
				Handle, Topic, URI string
				Actions            []string
			}
		}
	}
	blocks := blocksOf(t, "../../docs/events.md")
	i := slices.IndexFunc(blocks, func(b block) bool { return b.language == "toml" })
	meta, err := toml.Decode(strings.Join(blocks[i].lines, "\n"), &app)
	if err != nil || len(meta.Undecoded()) > 0 || app.Events.APIVersion != "2026-10" {
		t.Fatalf("%+v, %v, %v", app, meta.Undecoded(), err)
	}
	var used, got []catalog.Topic
	for _, topic := range catalog.Topics() {
		if k := topic.Kind(); k == catalog.ProductEvent || k == catalog.ItemEvent {
			used = append(used, topic)
		}
	}
	for _, sub := range app.Events.Subscription {
		got = append(got, catalog.Topic(sub.Topic))
		if sub.URI != "https://HOST"+syncer.HookPath(sub.Topic) || sub.Handle == "" || !slices.Equal(sub.Actions, []string{"create", "update", "delete"}) {
			t.Errorf("%+v", sub)
		}
	}
	slices.Sort(used)
	slices.Sort(got)
	if !slices.Equal(used, got) {
		t.Errorf("the example asks for %v, used are %v", got, used)
	}
}

func TestThePageOfEventsNamesEveryTopic(t *testing.T) {
	raw, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, topic := range catalog.Topics() {
		if topic.Kind().Event() && !strings.Contains(text, "`"+string(topic)+"`") {
			t.Errorf("no %s", topic)
		}
	}
}
