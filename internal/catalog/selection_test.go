package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelectionSelects(t *testing.T) {
	shirt := &Product{ID: 7, Tags: Of([]string{"Summer", "new"}), Vendor: Of("Acme "), ProductType: Of("Shirts"), PublishedAt: Of(int64(1000))}
	for _, tc := range []struct {
		name string
		s    Selection
		want bool
	}{
		{"the zero value selects every product", Selection{}, true},
		{"an exclude list alone selects all but those", Selection{Mode: SelectAll, Exclude: []int64{7}}, false},
		{"an exclude list leaves the others", Selection{Mode: SelectAll, Exclude: []int64{8}}, true},
		{"an include list selects its ids", Selection{Mode: SelectInclude, Include: []int64{7}}, true},
		{"an include list selects no other", Selection{Mode: SelectInclude, Include: []int64{8}}, false},
		{"an empty include list selects none", Selection{Mode: SelectInclude}, false},
		{"a tag rule matches without regard to case", Selection{Mode: SelectRules, Rules: []Rule{{RuleTag, "SUMMER"}}}, true},
		{"a tag rule matches whole tags only", Selection{Mode: SelectRules, Rules: []Rule{{RuleTag, "sum"}}}, false},
		{"a vendor rule matches without regard to case and outer spaces", Selection{Mode: SelectRules, Rules: []Rule{{RuleVendor, " ACME "}}}, true},
		{"a type rule matches without regard to case and outer spaces", Selection{Mode: SelectRules, Rules: []Rule{{RuleType, "sHirts "}}}, true},
		{"a vendor rule matches whole vendors only", Selection{Mode: SelectRules, Rules: []Rule{{RuleVendor, "acm"}}}, false},
		{"a published rule matches what has a date of publication", Selection{Mode: SelectRules, Rules: []Rule{{RulePublished, "True"}}}, true},
		{"a published=false rule matches what has none", Selection{Mode: SelectRules, Rules: []Rule{{RulePublished, "false"}}}, false},
		{"one matching rule is enough", Selection{Mode: SelectRules, Rules: []Rule{{RuleVendor, "other"}, {RuleType, "shirts"}}}, true},
		{"an excluded product stays out though a rule matches", Selection{Mode: SelectRules, Rules: []Rule{{RuleVendor, "acme"}}, Exclude: []int64{7}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.s.Validate(); err != nil {
				t.Fatal(err)
			}
			got, known := tc.s.Judge(shirt)
			if !known || got != tc.want {
				t.Errorf("selected %v (known %v), want %v", got, known, tc.want)
			}
		})
	}
}

func TestRulesCannotJudgeABodyWithoutTheirFields(t *testing.T) {
	s := Selection{Mode: SelectRules, Rules: []Rule{{RuleTag, "x"}}}
	if _, known := s.Judge(&Product{ID: 7, Vendor: Of("Acme"), ProductType: Of("")}); known {
		t.Error("a body without tags was judged by a tag rule")
	}
	published := Selection{Mode: SelectRules, Rules: []Rule{{RulePublished, "true"}}}
	if _, known := published.Judge(&Product{ID: 7}); known {
		t.Error("a body without published_at was judged by a published rule")
	}
	if selected, known := published.Judge(&Product{ID: 7, PublishedAt: Null[int64]()}); !known || selected {
		t.Error("published_at null is published, or cannot be judged without tags")
	}
	s.Exclude = []int64{7}
	if selected, known := s.Judge(&Product{ID: 7}); !known || selected {
		t.Error("an excluded id needs no fields to be judged")
	}
}

func TestParseRule(t *testing.T) {
	for in, want := range map[string]Rule{"tag=a=b": {RuleTag, "a=b"}, " Vendor = Acme ": {RuleVendor, "Acme"}, "type=Shirts": {RuleType, "Shirts"}, "Published=true": {RulePublished, "true"}} {
		got, err := ParseRule(in)
		if err != nil || got != want {
			t.Errorf("ParseRule(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "tag", "tag=", "price=3", "=x", "published=yes"} {
		if got, err := ParseRule(in); err == nil {
			t.Errorf("ParseRule(%q) = %v, want an error", in, got)
		}
	}
}

func TestParseSelectionRefusesWhatMakesNoSense(t *testing.T) {
	good, err := ParseSelection([]byte(`{"mode":"rules","rules":[{"field":"tag","value":"x"}],"exclude":[5]}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Selection{Mode: SelectRules, Rules: []Rule{{RuleTag, "x"}}, Exclude: []int64{5}}, good); d != "" {
		t.Error(d)
	}
	for _, in := range []string{``, `{"mode":"some"}`, `{"mode":"all","include":[1]}`, `{"mode":"include","include":[0]}`, `{"mode":"rules"}`, `{"mode":"rules","rules":[{"field":"price","value":"1"}]}`} {
		if s, err := ParseSelection([]byte(in)); err == nil {
			t.Errorf("ParseSelection(%s) = %v, want an error", in, s)
		}
	}
}

func TestProductIDsAreReadInEveryFormThatPeopleHave(t *testing.T) {
	ids, wrong := ParseIDs("7, https://admin.shopify.com/store/linen/products/9/\n gid://shopify/Product/7;11")
	if d := cmp.Diff([]int64{7, 9, 11}, ids); d != "" || wrong != nil {
		t.Error(d, wrong)
	}
	for _, text := range []string{"five", "-5", "0", "1.5", "99999999999999999999", "https://shop.example/products/blue-shirt"} {
		if ids, wrong := ParseIDs(text); len(ids) != 0 || len(wrong) != 1 {
			t.Errorf("%q: %v %v", text, ids, wrong)
		}
	}
}
