package breaker

import (
	"testing"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

func BenchmarkFailsafe(b *testing.B) {
	cb := circuitbreaker.NewBuilder[any]().WithFailureThreshold(5).Build()
	b.ReportAllocs()
	for b.Loop() {
		if cb.TryAcquirePermit() {
			cb.RecordSuccess()
		}
	}
}

func BenchmarkFailsafeRun(b *testing.B) {
	cb := circuitbreaker.NewBuilder[any]().WithFailureThreshold(5).Build()
	ex := failsafe.With(cb)
	b.ReportAllocs()
	for b.Loop() {
		ex.Run(func() error { return nil })
	}
}
