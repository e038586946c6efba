package web

import (
	"context"
	"strings"
	"testing"
)

// What is wrong with a body is said by name, and no value of it is repeated.
func TestAWrongBodyIsToldByItsMember(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.SendSample = func(context.Context, Sample) (SampleSent, error) { return SampleSent{}, nil }
	})
	const shop = "/api/v1/shops/wool.myshopify.com"
	selection := "/api/v1/shops/" + testShop + "/selection"
	for _, c := range []struct{ path, body, want string }{
		{shop, `{"secrets":"shpss_x"}`, `There is no member \"secrets\". This path takes check, merchant_id, api_key, secret, previous_secret, access_token.`},
		{shop, `{"api_key":7}`, `The member api_key has to be a text, in quotation marks.`},
		{shop, `{"secret":{"a":"shpss_x"}}`, `The member secret has to be a text`},
		{shop, `["shpss_x"]`, `The body has to be a JSON object, {...}, and is of another type.`},
		{shop, `{"secret":"shpss_x`, `The body ends before its JSON object does.`},
		{shop, `{secret:"shpss_x"}`, `The body is no JSON from its byte 2 on.`},
		{shop, `secret=shpss_x`, `The body is no JSON from its byte 1 on.`},
		{shop, ``, `The body is empty. This path takes a JSON object with check, merchant_id,`},
		{shop, `{} {"secret":"shpss_x"}`, `goes on behind`},
		{selection, `{"mode":"include","ids":[1]}`, `There is no member \"ids\". This path takes mode, include, exclude, rules.`},
		{selection, `{"mode":"include","include":"1"}`, `The member include has to be a list`},
		{selection, `{"mode":"include","include":["1"]}`, `The member include has to be a whole number.`},
		{selection, `{"mode":"rules","rules":[{"field":"tag","tag":"x"}]}`, `There is no member \"tag\".`},
		{"/api/v1/password", `{"passwort":"correct horse battery"}`, `There is no member \"passwort\". This path takes password.`},
	} {
		got := r.admin(400, "PUT", c.path, c.body)
		if !strings.Contains(got, c.want) || strings.Contains(got, "shpss_x") || strings.Contains(got, "horse") {
			t.Errorf("PUT %s %s\n got %s\nwant %s", c.path, c.body, got, c.want)
		}
	}
	if got := r.admin(400, "POST", "/api/v1/webhooks-test", `{"topic":"products/update","body_base64":"?"}`); !strings.Contains(got, "It takes shop, topic, body, body_base64.") {
		t.Error(got)
	}
}
