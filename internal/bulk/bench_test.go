package bulk

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/bulk/bulktest"
)

// join reads a stream to its end and returns how many groups it gave and the
// most bytes of heap in use that were seen.
func join(t testing.TB, in io.Reader, watch func()) (groups int, s Stats) {
	t.Helper()
	dir := openFolder(t, t.TempDir())
	defer dir.Close()
	j, err := NewJoiner(Options{Folder: dir, File: "sorted", Children: func([]byte) (int, error) { return bulktest.Each - 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	chunk := make([]byte, 256<<10)
	drain := func() {
		for {
			g, ok, err := j.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return
			}
			if groups++; g.Root == nil || len(g.Children) != bulktest.Each-1 {
				t.Fatalf("group of root %d: %d children", g.ID, len(g.Children))
			}
			if watch != nil && groups%1000 == 0 {
				watch()
			}
		}
	}
	for {
		n, err := in.Read(chunk)
		if err := j.Feed(chunk[:n]); err != nil {
			t.Fatal(err)
		}
		drain()
		if watch != nil {
			watch()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	j.End()
	drain()
	return groups, j.Stats()
}

// TestMemoryStaysBoundedWhateverTheOrder joins 200,000 mixed lines, 80 MB, with
// 4 MiB for those that wait.
func TestMemoryStaysBoundedWhateverTheOrder(t *testing.T) {
	lines := 200_000
	if raceEnabled {
		lines = 40_000
	}
	for _, how := range []layout{grouped, ungrouped, shuffled} {
		t.Run(string(how), func(t *testing.T) {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			base, most := m.HeapAlloc, uint64(0)
			groups, s := join(t, bulktest.New(lines, bulktest.Order(how)), func() {
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			})
			if groups != lines/bulktest.Each || s.Check(-1, int64(lines), int64(lines/bulktest.Each)) != nil {
				t.Fatalf("%d groups, %+v", groups, s)
			}
			// Garbage that was not collected yet may be as much as what is in use.
			if most-min(base, most) > 2*(4<<20)+6<<20 {
				t.Errorf("%d KiB of heap at most, %d before", most>>10, base>>10)
			}
		})
	}
}

// BenchmarkJoin joins a million lines in a process of its own, for its peak
// memory.
func BenchmarkJoin(b *testing.B) {
	for _, how := range []layout{grouped, ungrouped, shuffled} {
		b.Run(string(how), func(b *testing.B) {
			lines := 1_000_000
			if testing.Short() {
				lines = 100_000
			}
			peak, rate := 0.0, 0.0
			for b.Loop() {
				cmd := exec.Command(os.Args[0], "-test.run=^TestJoinAStream$", "-test.v")
				cmd.Env = append(os.Environ(), "STOCKROOM_BULK_STREAM="+string(how)+" "+strconv.Itoa(lines))
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				var seconds float64
				var kib int
				i := strings.Index(string(out), "joined ")
				if i < 0 {
					b.Fatalf("no figures: %s", out)
				}
				if _, err := fmt.Sscanf(string(out[i:]), "joined %f s %d KiB", &seconds, &kib); err != nil {
					b.Fatal(err)
				}
				rate, peak = max(rate, float64(lines)/seconds), max(peak, float64(kib)/1024)
			}
			b.ReportMetric(rate, "lines/s")
			b.ReportMetric(peak, "peak-MiB")
		})
	}
}

// TestJoinAStream is the other process of BenchmarkJoin.
func TestJoinAStream(t *testing.T) {
	how, n, ok := strings.Cut(os.Getenv("STOCKROOM_BULK_STREAM"), " ")
	if !ok {
		t.Skip("only in a process of BenchmarkJoin")
	}
	lines, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	groups, s := join(t, bulktest.New(lines, bulktest.Order(how)), nil)
	took := time.Since(begun)
	if groups != lines/bulktest.Each || s.Check(-1, int64(lines), int64(groups)) != nil {
		t.Fatalf("%d groups, %+v", groups, s)
	}
	fmt.Printf("joined %f s %d KiB\n", took.Seconds(), peakKiB())
}

// BenchmarkStream is what making the lines takes, to be taken off BenchmarkJoin.
func BenchmarkStream(b *testing.B) {
	for b.Loop() {
		if _, err := io.Copy(io.Discard, bulktest.New(100_000, bulktest.Shuffled)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanLine(b *testing.B) {
	line := bytes.TrimSpace(bulktest.New(bulktest.Each, bulktest.Grouped).AppendLine(nil, 3))
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, _, ok := scanLine(line); !ok {
			b.Fatal("bad line")
		}
	}
}
