//go:build !windows

package service

import "context"

// Obey does nothing here: the system stops a service by a signal.
func Obey(ctx context.Context) (context.Context, func()) { return ctx, func() {} }
