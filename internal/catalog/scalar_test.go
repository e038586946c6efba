package catalog

import (
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestWholeNumbersAreReadAsStrconvReadsThem(t *testing.T) {
	check := func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) string { return strconv.FormatInt(rapid.Int64().Draw(t, "n"), 10) }),
			rapid.Custom(func(t *rapid.T) string {
				n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "bytes"))
				return n.String()
			}),
			rapid.StringMatching(`-?[0-9]{0,22}`),
			rapid.SampledFrom([]string{"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "", "-", "+1", "1_0"}),
		).Draw(t, "s")
		want, err := strconv.ParseInt(s, 10, 64)
		got, ok := parseInt([]byte(s))
		wantOK := err == nil && !strings.HasPrefix(s, "+") && len(strings.TrimPrefix(s, "-")) <= 19
		if ok != wantOK || ok && got != want {
			t.Fatalf("parseInt(%q) = %d, %t; want %d, %t", s, got, ok, want, wantOK)
		}
	}
	rapid.Check(t, check)
}

func TestTimesAreReadAsThePackageTimeReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "offset"))
		want := time.Date(rapid.IntRange(0, 9999).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")),
			rapid.IntRange(1, 28).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"),
			rapid.IntRange(0, 59).Draw(t, "second"), rapid.IntRange(0, 999_999_999).Draw(t, "ns"), zone)
		layout := rapid.SampledFrom([]string{time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.000Z07:00"}).Draw(t, "layout")
		s := want.Format(layout)
		want, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Skip(err)
		}
		if ms, ok := parseTime([]byte(s)); !ok || ms != want.UnixMilli() {
			t.Fatalf("parseTime(%q) = %d, %t; want %d", s, ms, ok, want.UnixMilli())
		}
	})
}

func TestWhatIsNoTimeIsRefused(t *testing.T) {
	for _, s := range []string{
		"", "2026", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+0000",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60", "2026-01-01T00:00:00+00:00x", "2026-01-01T00:00:00Zx",
		"2026-01-01T00:00:00x", "-026-01-01T00:00:00Z", "2026-01-01T0 :00:00Z", "2026/01/01T00:00:00Z", "2026-01-01T00:00:00.5",
	} {
		if ms, ok := parseTime([]byte(s)); ok {
			t.Errorf("parseTime(%q) = %d", s, ms)
		}
	}
	for _, s := range []string{"2024-02-29T00:00:00Z", "2000-02-29T23:59:59z", "2026-01-01t00:00:00.123456789012345Z"} {
		if _, ok := parseTime([]byte(s)); !ok {
			t.Errorf("parseTime(%q) refused", s)
		}
	}
}

func TestEscapesAreUndoneAsTheLibraryUndoesThem(t *testing.T) {
	part := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{`\/`, `\\`, `\"`, `\b`, `\f`, `\n`, `\r`, `\t`, `\u0000`, `\u003c`, `\u00E9`, `\u2028`, `\ud83d\udc55`, `\uDBFF\uDFFF`, `\u0022`}),
	)
	rapid.Check(t, func(t *rapid.T) {
		var quoted []byte
		quoted = append(quoted, '"')
		for _, p := range rapid.SliceOf(part).Draw(t, "parts") {
			if strings.HasPrefix(p, `\`) {
				quoted = append(quoted, p...)
			} else {
				whole, _ := jsontext.AppendQuote(nil, p)
				quoted = append(quoted, whole[1:len(whole)-1]...)
			}
		}
		quoted = append(quoted, '"')
		want, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil {
			t.Skip(err)
		}
		if got := appendUnquoted(nil, quoted[1:len(quoted)-1]); string(got) != string(want) {
			t.Fatalf("%s: %q, want %q", quoted, got, want)
		}
	})
}

func TestGlobalIDs(t *testing.T) {
	for _, c := range []struct {
		gid, resource string
		id            int64
	}{
		{"gid://shopify/Product/788032119674292922", "Product", 788032119674292922},
		{`gid:\/\/shopify\/ProductVariant\/1`, "ProductVariant", 1},
		{"gid://shopify/InventoryLevel/2?inventory_item_id=3", "InventoryLevel", 2},
		{"gid://shopify/Product/0", "", 0}, {"gid://shopify/Product/-1", "", 0}, {"gid://shopify/Product/", "", 0},
		{"gid://shopify/Product", "", 0}, {"gid://shopify//1", "", 0}, {"gid://other/Product/1", "", 0}, {"", "", 0},
		{"gid://shopify/Product/1/2", "", 0}, {"gid://shopify/Product/9223372036854775808", "", 0}, {`gid:\\//shopify/Product/1`, "", 0},
	} {
		resource, id, ok := ParseGID([]byte(c.gid))
		if ok != (c.id != 0) || id != c.id || string(resource) != c.resource {
			t.Errorf("ParseGID(%q) = %q, %d, %t", c.gid, resource, id, ok)
		}
	}
}
