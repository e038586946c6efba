package config

import (
	"reflect"
	"strconv"
	"strings"
)

// Flags are the settings as flags for a kong command line: embed it in the
// struct of commands, and give FlagVars to kong as kong.Vars. A flag that was
// not given stays nil, so that Load can look elsewhere.
type Flags struct {
	Config            *string `name:"config" group:"settings" placeholder:"${value_config}" help:"${help_config}"`
	Data              *string `name:"data" group:"common" placeholder:"${value_data}" help:"${help_data}"`
	Listen            *string `name:"listen" group:"settings" placeholder:"${value_listen}" help:"${help_listen}"`
	AdminListen       *string `name:"admin-listen" group:"settings" placeholder:"${value_admin_listen}" help:"${help_admin_listen}"`
	AdminPasswordFile *string `name:"admin-password-file" group:"settings" placeholder:"${value_admin_password_file}" help:"${help_admin_password_file}"`
	AdminHost         *string `name:"admin-host" group:"settings" placeholder:"${value_admin_host}" help:"${help_admin_host}"`
	PublicURL         *string `name:"public-url" group:"settings" placeholder:"${value_public_url}" help:"${help_public_url}"`
	TrustedProxies    *string `name:"trusted-proxies" group:"settings" placeholder:"${value_trusted_proxies}" help:"${help_trusted_proxies}"`
	APIVersion        *string `name:"api-version" group:"settings" placeholder:"${value_api_version}" help:"${help_api_version}"`
	APIBase           *string `name:"api-base" group:"settings" placeholder:"${value_api_base}" help:"${help_api_base}"`
	LimitPoints       *string `name:"limit-points" group:"settings" placeholder:"${value_limit_points}" help:"${help_limit_points}"`
	LimitWindow       *string `name:"limit-window" group:"settings" placeholder:"${value_limit_window}" help:"${help_limit_window}"`
	LimitAdaptive     *bool   `name:"limit-adaptive" negatable:"" group:"settings" help:"${help_limit_adaptive}"`
	BreakerFailures   *string `name:"breaker-failures" group:"settings" placeholder:"${value_breaker_failures}" help:"${help_breaker_failures}"`
	BreakerReset      *string `name:"breaker-reset" group:"settings" placeholder:"${value_breaker_reset}" help:"${help_breaker_reset}"`
	RetryDelay        *string `name:"retry-delay" group:"settings" placeholder:"${value_retry_delay}" help:"${help_retry_delay}"`
	RetryAttempts     *string `name:"retry-attempts" group:"settings" placeholder:"${value_retry_attempts}" help:"${help_retry_attempts}"`
	MaxBody           *string `name:"max-body" group:"settings" placeholder:"${value_max_body}" help:"${help_max_body}"`
	ReconcileEvery    *string `name:"reconcile-every" group:"settings" placeholder:"${value_reconcile_every}" help:"${help_reconcile_every}"`
	FullSyncEvery     *string `name:"full-sync-every" group:"settings" placeholder:"${value_full_sync_every}" help:"${help_full_sync_every}"`
	KeepDeliveries    *string `name:"keep-deliveries" group:"settings" placeholder:"${value_keep_deliveries}" help:"${help_keep_deliveries}"`
	KeepChanges       *string `name:"keep-changes" group:"settings" placeholder:"${value_keep_changes}" help:"${help_keep_changes}"`
	SpaceWarn         *string `name:"space-warn" group:"settings" placeholder:"${value_space_warn}" help:"${help_space_warn}"`
	LogFormat         *string `name:"log-format" group:"settings" placeholder:"${value_log_format}" help:"${help_log_format}"`
}

// Given returns the flags that were given, for Sources.Flags.
func (f Flags) Given() map[string]string {
	given := map[string]string{}
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("name")
		switch p := v.Field(i).Interface().(type) {
		case *string:
			if p != nil {
				given[name] = *p
			}
		case *bool:
			if p != nil {
				given[name] = strconv.FormatBool(*p)
			}
		}
	}
	return given
}

// FlagVars returns the texts that the tags of Flags refer to: help_NAME and
// value_NAME for each flag, with _ for -.
func FlagVars() map[string]string {
	vars := map[string]string{}
	for _, s := range All() {
		if s.EnvOnly {
			continue
		}
		name := strings.ReplaceAll(s.Name, "-", "_")
		vars["value_"+name] = s.Placeholder
		vars["help_"+name] = s.Help
		if s.Default != "" {
			vars["help_"+name] += " Default: " + s.Default + "."
		}
	}
	return vars
}
