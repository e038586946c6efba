// Package deploy holds the files that other programs are set up with: Prometheus,
// Grafana and systemd. The program itself carries those of systemd, which
// `stockroom service install` fills in.
package deploy

import "embed"

// Systemd has the units of systemd as text/template files, in the folder systemd.
//
//go:embed systemd
var Systemd embed.FS
