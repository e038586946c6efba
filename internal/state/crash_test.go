package state_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/state"
)

// writerVar makes the test binary write to the state.db it names until killed.
const writerVar = "STOCKROOM_TEST_STATE_WRITER"

func TestMain(m *testing.M) {
	for name, run := range map[string]func(path string) error{writerVar: write, forgetterVar: forget} {
		if path := os.Getenv(name); path != "" {
			fmt.Println("failed:", run(path))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// write stores growing numbers in several tables and says each one when it is
// acknowledged.
func write(path string) error {
	s, err := state.Open(path, time.Now(), state.Options{})
	if err != nil {
		return err
	}
	for i := s.Watermark().Seq + 1; ; i++ {
		text := strconv.FormatInt(i, 10)
		if err := s.AddShop(shopA, text, time.Now()); err != nil {
			return err
		}
		if err := s.SetCredentials(shopA, state.Credentials{APISecret: config.NewSecret(text)}); err != nil {
			return err
		}
		if err := s.RaiseWatermark(i, time.Now()); err != nil {
			return err
		}
		fmt.Println(text)
	}
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	kills := 5
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		kills = 500
	}
	path := filepath.Join(t.TempDir(), "state.db")
	for kill := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerVar+"="+path)
		out, err := cmd.StdoutPipe()
		ok(t, err, cmd.Start())
		// How far it comes is random: it is killed after so many lines, at a
		// random moment of the next change.
		lines := bufio.NewScanner(out)
		last := int64(0)
		for n := rand.IntN(30); n >= 0 && lines.Scan(); n-- {
			last, err = strconv.ParseInt(lines.Text(), 10, 64)
			ok(t, err)
		}
		ok(t, cmd.Process.Kill())
		for lines.Scan() { // what it said before it died
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()
		s := open(t, path, state.Options{})
		if d, damaged := s.Damage(); damaged {
			t.Fatalf("kill %d: %+v", kill, d)
		}
		found := s.Watermark().Seq
		if found < last || found > last+1 {
			t.Fatalf("kill %d: acknowledged %d, found %d", kill, last, found)
		}
		if got := number(t, s, "merchant"); got < found || got > found+1 {
			t.Fatalf("kill %d: merchant %d after change %d", kill, got, found)
		}
		if got := number(t, s, "secret"); got < found || got > found+1 {
			t.Fatalf("kill %d: secret %d after change %d", kill, got, found)
		}
		ok(t, s.Close())
	}
}

func number(t *testing.T, s *state.Store, which string) int64 {
	t.Helper()
	shop, _ := s.Shop(shopA)
	text := shop.MerchantID
	if which == "secret" {
		text = secretsOf(s.Secrets(shopA))
	}
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	ok(t, err)
	return n
}
