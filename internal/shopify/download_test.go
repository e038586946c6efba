package shopify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

func downloadKind(err error) DownloadKind {
	if e, ok := errors.AsType[*DownloadError](err); ok {
		return e.Kind
	}
	return 0
}

// pull downloads from an address on, going on as long as it breaks off.
func pull(t *testing.T, r *rig, address string, tries int) (file []byte, broke int, err error) {
	t.Helper()
	for range tries {
		var d *Download
		d, err = r.Download(t.Context(), testShop, address, int64(len(file)), -1)
		if err == nil {
			var part []byte
			part, err = io.ReadAll(d.Body)
			file = append(file, part...)
			if cerr := d.Body.Close(); cerr != nil {
				t.Error(cerr)
			}
		}
		if downloadKind(err) != DownloadBroken {
			return file, broke, err
		}
		broke++
	}
	return file, broke, err
}

func TestADownloadGoesOnWhereItBrokeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 60})
		b, whole := r.export(t, true)
		r.shop.Fail(
			fakeshopify.Fault{Kind: fakeshopify.FaultTruncate, Bytes: 1, Endpoint: "bulk"},
			fakeshopify.Fault{Kind: fakeshopify.FaultTruncate, Bytes: 20_000, Endpoint: "bulk"},
			fakeshopify.Fault{Kind: fakeshopify.FaultReset, Endpoint: "bulk"},
			fakeshopify.Fault{Status: 503, Endpoint: "bulk"},
			fakeshopify.Fault{Kind: fakeshopify.FaultTruncate, Bytes: 3, Endpoint: "bulk"},
		)
		file, broke, err := pull(t, r, b.URL, 10)
		if err != nil || broke != 5 || !bytes.Equal(file, whole) {
			t.Errorf("%d bytes of %d after %d breaks: %v", len(file), len(whole), broke, err)
		}
		if s := r.shop.APIStats(); s.TokenLeaks > 0 {
			t.Error("the token was sent to where the file is")
		}
	})
}

func TestAnyOffsetGivesTheRestOfTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 10})
		b, whole := r.export(t, false)
		rnd := rand.New(rand.NewPCG(1, 1))
		for _, from := range append([]int{0, 1, len(whole) - 1, len(whole)}, rnd.Perm(len(whole))[:30]...) {
			d, err := r.Download(t.Context(), testShop, b.URL, int64(from), -1)
			if err != nil {
				t.Fatalf("from %d: %v", from, err)
			}
			part, err := io.ReadAll(d.Body)
			if err != nil || d.Total != int64(len(whole)) || !bytes.Equal(part, whole[from:]) {
				t.Errorf("from %d: %d bytes, total %d, %v", from, len(part), d.Total, err)
			}
			d.Body.Close()
		}
		if _, err := r.Download(t.Context(), testShop, b.URL, int64(len(whole)+1), -1); downloadKind(err) != DownloadChanged {
			t.Errorf("beyond the end: %v", err)
		}
	})
}

func TestAnExpiredAddressIsToldApartFromAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 3, API: fakeshopify.APIOptions{
			Plan: fakeshopify.Plus, Bulk: fakeshopify.BulkOptions{URLLife: time.Hour}}}})
		b, whole := r.export(t, true)
		time.Sleep(2 * time.Hour)
		if _, err := r.Download(t.Context(), testShop, b.URL, 0, -1); downloadKind(err) != DownloadExpired {
			t.Errorf("expired: %v", err)
		}
		for status, kind := range map[int]DownloadKind{400: DownloadExpired, 403: DownloadExpired, 404: DownloadExpired, 429: DownloadBroken,
			500: DownloadBroken, 503: DownloadBroken, 302: DownloadRefused, 418: DownloadRefused} {
			r.shop.Fail(fakeshopify.Fault{Status: status, Endpoint: "bulk"})
			if status == 302 {
				r.shop.Heal()
				r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Endpoint: "bulk"})
			}
			fresh, _, err := r.Bulk(t.Context(), testShop, limiter.Bulk, b.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Download(t.Context(), testShop, fresh.URL, 5, -1); downloadKind(err) != kind {
				t.Errorf("status %d: %v", status, err)
			}
			if file, _, err := pull(t, r, fresh.URL, 1); err != nil || !bytes.Equal(file, whole) {
				t.Errorf("after status %d: %d bytes, %v", status, len(file), err)
			}
		}
	})
}

func TestASilentServerIsGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeshopify.Fault
		after time.Duration
	}{
		{"before its answer", fakeshopify.Fault{Kind: fakeshopify.FaultSilence, Endpoint: "bulk"}, time.Minute},
		{"between two bytes", fakeshopify.Fault{Kind: fakeshopify.FaultSlow, Delay: 61 * time.Second, Endpoint: "bulk"}, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := plusRig(t, fakeshopify.Options{Products: 3})
				b, whole := r.export(t, true)
				r.shop.Fail(tt.fault)
				begun := time.Now()
				_, broke, err := pull(t, r, b.URL, 1)
				if broke != 1 || downloadKind(err) != DownloadBroken || time.Since(begun) > tt.after+time.Second {
					t.Errorf("after %v: %v", time.Since(begun), err)
				}
				synctest.Wait()
				if file, _, err := pull(t, r, b.URL, 1); err != nil || len(file) != len(whole) {
					t.Errorf("then: %d bytes, %v", len(file), err)
				}
			})
		})
	}
}

func TestAReaderThatTakesItsTimeIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 30})
		b, whole := r.export(t, true)
		d, err := r.Download(t.Context(), testShop, b.URL, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Body.Close()
		n := 0
		for buf := make([]byte, 10_000); ; {
			k, err := d.Body.Read(buf)
			n += k
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		if n != len(whole) {
			t.Errorf("%d bytes of %d", n, len(whole))
		}
	})
}

func TestADownloadThatIsTooLargeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", client: Options{MaxDownload: 5000}, shop: fakeshopify.Options{Products: 1, Lean: true}})
		b, whole := r.export(t, true)
		if len(whole) > 5000 {
			t.Fatalf("%d bytes are no test", len(whole))
		}
		r.o.MaxDownload = int64(len(whole)) - 1
		if _, err := r.Download(t.Context(), testShop, b.URL, 0, -1); downloadKind(err) != DownloadTooLarge {
			t.Errorf("by its head: %v", err)
		}
	})
}

// fileServer is a real server for what has to be seen on a socket.
func fileServer(t *testing.T, h http.HandlerFunc) (*rig, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	r := newRig(t, rigOptions{static: "token", client: Options{
		BaseURL: func(string) string { return srv.URL }, Transport: &http.Transport{}, Stall: 5 * time.Second}})
	return r, srv.URL + "/bulk/result.jsonl?Signature=secret"
}

func TestAResetInMidBodyIsGoneOnFrom(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	cuts := []int{1, 70_000, 100_000, 200_001}
	r, address := fileServer(t, func(w http.ResponseWriter, req *http.Request) {
		from := 0
		if s, ok := strings.CutPrefix(req.Header.Get("Range"), "bytes="); ok {
			from, _ = strconv.Atoi(strings.TrimSuffix(s, "-"))
		}
		if req.Header.Get("X-Shopify-Access-Token") != "" || req.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("headers %v", req.Header)
		}
		if len(cuts) == 0 {
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(whole))
			return
		}
		to := max(cuts[0], from+1)
		cuts = cuts[1:]
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		buf.WriteString("HTTP/1.1 206 Partial Content\r\nContent-Length: " + strconv.Itoa(len(whole)-from) +
			"\r\nContent-Range: bytes " + strconv.Itoa(from) + "-" + strconv.Itoa(len(whole)-1) + "/" + strconv.Itoa(len(whole)) + "\r\n\r\n")
		buf.Write(whole[from:to])
		buf.Flush()
		// A reset, not an orderly end.
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	file, broke, err := pull(t, r, address, 20)
	if err != nil || broke == 0 || !bytes.Equal(file, whole) {
		t.Errorf("%d bytes of %d after %d breaks: %v", len(file), len(whole), broke, err)
	}
}

func TestAnAnswerThatIsNotTheAskedPartIsNotTaken(t *testing.T) {
	const whole = "0123456789"
	for _, tt := range []struct {
		name   string
		offset int64
		answer func(w http.ResponseWriter)
		want   string
		kind   DownloadKind
	}{
		{"a server without ranges sends all of it", 4, func(w http.ResponseWriter) { io.WriteString(w, whole) }, "456789", 0},
		{"and is shorter than what was read", 11, func(w http.ResponseWriter) { io.WriteString(w, whole) }, "", DownloadChanged},
		{"and is shorter, without saying so before", 11, func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			io.WriteString(w, whole)
		}, "", DownloadChanged},
		{"another part", 4, func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 3-9/10")
			w.WriteHeader(206)
			io.WriteString(w, whole[3:])
		}, "", DownloadBroken},
		{"a part that does not reach the end", 4, func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 4-8/10")
			w.WriteHeader(206)
			io.WriteString(w, whole[4:9])
		}, "", DownloadBroken},
		{"a part without place", 4, func(w http.ResponseWriter) {
			w.WriteHeader(206)
			io.WriteString(w, whole[4:])
		}, "", DownloadBroken},
		{"nothing left", 10, func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes */10")
			w.WriteHeader(416)
		}, "", 0},
		{"the file has shrunk", 10, func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes */9")
			w.WriteHeader(416)
		}, "", DownloadChanged},
		{"compressed all the same", 0, func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, whole)
		}, "", DownloadRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, address := fileServer(t, func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) })
			var part []byte
			d, err := r.Download(t.Context(), testShop, address, tt.offset, -1)
			if err == nil {
				part, err = io.ReadAll(d.Body)
				d.Body.Close()
			}
			if downloadKind(err) != tt.kind || tt.kind == 0 && (err != nil || string(part) != tt.want) {
				t.Errorf("%q, %v", part, err)
			}
			if err != nil && strings.Contains(err.Error(), "Signature") {
				t.Errorf("the address is in the error: %v", err)
			}
		})
	}
}

func TestABodyBeyondTheLimitEndsEvenWhenItsSizeIsNotTold(t *testing.T) {
	r, address := fileServer(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
		}
	})
	r.o.MaxDownload = 50_000
	d, err := r.Download(t.Context(), testShop, address, 0, -1)
	if err != nil || d.Total != -1 {
		t.Fatalf("%+v, %v", d, err)
	}
	defer d.Body.Close()
	if n, err := io.Copy(io.Discard, d.Body); downloadKind(err) != DownloadTooLarge || n > 50_000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestNoDownloadCallsIntoOurOwnNetwork: the address is looked at when it is
// dialled, so a public name that points inside gets nowhere either.
func TestNoDownloadCallsIntoOurOwnNetwork(t *testing.T) {
	called := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigOptions{static: "token", client: Options{BaseURL: func(shop string) string { return "https://" + shop }}})
	for _, address := range []string{
		"https://127.0.0.1:" + port + "/x", "https://localhost:" + port + "/x", "https://[::1]:" + port + "/x",
		"https://[::ffff:127.0.0.1]:" + port + "/x", "https://10.0.0.1/x", "https://169.254.169.254/latest/meta-data", "https://0.0.0.0:" + port + "/x",
		"http://storage.googleapis.com/x", "ftp://storage.googleapis.com/x", "https://user@storage.googleapis.com/x", "file:///etc/passwd",
		"https:///x", "://", "",
	} {
		if _, err := r.Download(t.Context(), testShop, address, 0, -1); downloadKind(err) != DownloadRefused {
			t.Errorf("%s: %v", address, err)
		}
	}
	if called {
		t.Error("a server of ours was called")
	}
}

func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	for at, want := range map[string]bool{
		"142.250.185.91": true, "2a00:1450:4001:80b::201b": true, "8.8.8.8": true,
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "127.8.8.8": false, "0.0.0.0": false, "0.1.2.3": false,
		"100.64.0.1": false, "169.254.169.254": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::7f00:1": false, "2001:db8::1": false, "fe80::1%eth0": false,
	} {
		if got := public(netip.MustParseAddr(at)); got != want {
			t.Errorf("%s: public %v", at, got)
		}
	}
	for name, private := range map[string]bool{
		"storage.googleapis.com": false, "localhost": true, "LOCALHOST.": true, "a.localhost": true, "db": true, "metadata.google.internal": true,
		"printer.local": true, "10.0.0.1": true, "8.8.8.8": false,
	} {
		if privateName(name) != private {
			t.Errorf("%s: private %v", name, !private)
		}
	}
}

// trickle is a body that gives so many bytes at a time, and for ever.
type trickle struct {
	n   int
	per time.Duration
}

func (b trickle) Read(p []byte) (int, error) {
	time.Sleep(b.per)
	n := min(b.n, len(p))
	clear(p[:n])
	return n, nil
}

func TestADownloadEndsThoughTheFileDoesNot(t *testing.T) {
	for _, tt := range []struct {
		name  string
		body  trickle
		most  int64
		kind  DownloadKind
		bytes int64
		after time.Duration
	}{
		{"a byte a second", trickle{1, time.Second}, -1, DownloadBroken, 60, time.Minute},
		{"a kilobyte a second", trickle{1000, time.Second}, -1, DownloadBroken, 60_000, time.Minute},
		{"more than announced", trickle{1 << 16, 0}, 4_000_000, DownloadTooLarge, 4_000_000, 0},
		{"more than is allowed", trickle{1 << 16, 0}, -1, DownloadTooLarge, 8 << 20, 0},
		{"slow enough", trickle{1 << 16, 29 * time.Second}, 4 << 20, DownloadTooLarge, 4 << 20, 2 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: "token", client: Options{MaxDownload: 8 << 20, Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
					// As a transport's own, it ends with the request.
					read, write := io.Pipe()
					go func() {
						_, err := io.Copy(write, tt.body)
						write.CloseWithError(err)
					}()
					context.AfterFunc(req.Context(), func() { _ = write.CloseWithError(context.Cause(req.Context())) })
					return &http.Response{StatusCode: 200, ContentLength: -1, Body: read, Header: http.Header{}, Request: req}, nil
				})}})
				begun := time.Now()
				d, err := r.Download(t.Context(), testShop, "https://"+testShop+"/file", 0, tt.most)
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, d.Body)
				if downloadKind(err) != tt.kind || n > tt.bytes || time.Since(begun) > tt.after {
					t.Errorf("%d bytes in %v, %v", n, time.Since(begun), err)
				}
				_ = d.Body.Close()
				time.Sleep(time.Hour) // the writer notices
			})
		})
	}
}
