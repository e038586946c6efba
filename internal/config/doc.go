// Package config knows every setting: its name, default, unit, environment
// name, meaning, and where the value in force came from.
//
// The fields of [Settings] are the one table of settings. kong reads their tags
// for the flags of the command line, Load, the documentation and the status page
// read them for everything else.
//
// A value is looked for in four places, the first one wins: the flag, the
// environment variable, the settings file (that of --config, else stockroom.toml in
// the data dir), the default. Secrets are never
// flags and never in the settings file: they come from the environment or from
// a file named there, and are held as [Secret], which prints as "[redacted]".
//
// Nothing is written, so there is nothing to lose in a crash. Load reads each
// file once, when it is called; a changed file counts after the next start.
//
// Units: durations are time.Duration, sizes are bytes, budgets are Shopify's
// query cost points.
package config
