package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
)

// pinned starts the server, a process of its own, on some of the cores.
func pinned(tb testing.TB, cores string, env ...string) *server {
	tb.Helper()
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		tb.Skip("needs taskset, which is not installed")
	}
	return startServer(tb, serveOptions{Prefix: []string{taskset, "-c", cores}, Env: append(env,
		"SHOPIFY_SHOP="+benchShop, "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET="+benchSecret)})
}

// BenchmarkSmallMachine measures durable deliveries over 64 connections with the
// server on one core, with one processor of Go's and as it is, and on two. Run it
// with taskset -c 1, so that the generator is on the other core.
func BenchmarkSmallMachine(b *testing.B) {
	for _, run := range []struct{ name, cores, env string }{
		{"core=1/procs=1", "0", "GOMAXPROCS=1"}, {"core=1", "0", ""}, {"cores=2", "0,1", ""},
	} {
		b.Run(run.name, func(b *testing.B) {
			s := pinned(b, run.cores, run.env)
			report(b, drive(b, strings.TrimPrefix(s.Public, "http://"), 64))
		})
	}
}

// BenchmarkSlowDisk measures the same on a disk whose fsync takes 10 ms more.
func BenchmarkSlowDisk(b *testing.B) {
	s := pinned(b, "0,1")
	defer tamper(b, s, "delay_exit=10000")()
	report(b, drive(b, strings.TrimPrefix(s.Public, "http://"), 64))
}
