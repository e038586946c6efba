//go:build !linux

package web

import "github.com/VictoriaMetrics/metrics"

// registerProcess adds nothing where the system is not asked.
func registerProcess(*metrics.Set) {}
