package appliance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"stockroom/internal/config"
)

// asService names what the child of the test below is to do.
const asService = "STOCKROOM_TEST_SOCKETS"

// asAService does what serve does first, with the sockets that it was handed.
func asAService(names string) {
	// A service manager knows the process before it is.
	_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	s := config.Settings{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"}
	if names == "https" {
		s.HTTPS = hooksName
	}
	l, err := Listen(s)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	_, left := os.LookupEnv("LISTEN_FDS")
	plain := "none"
	if l.Plain != nil {
		plain = l.Plain.Addr().String()
	}
	fmt.Printf("public %s, plain %s, admin %s, %q, for children %t\n", l.Public.Addr(), plain, l.Admin.Addr(), l.Warnings, left)
}

func TestSocketsOfAServiceManagerTakeThePlaceOfThoseOfTheSameKind(t *testing.T) {
	if kind := os.Getenv(asService); kind != "" {
		asAService(kind)
		return
	}
	if runtime.GOOS == "windows" {
		t.Skip("sockets are handed over on Unix only")
	}
	var at []string
	var files []*os.File
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		at, files = append(at, l.Addr().String()), append(files, f)
	}
	noPlain := `["nothing is served on port 80 (the socket unit has no socket named http): a browser in which the address is ` +
		`typed without https:// may find nothing; deliveries and certificates do not need it"]`
	const notUsed = "systemd hands over sockets named [%s] that these settings do not use, or more than one of a name: " +
		"in the socket unit, set FileDescriptorName= to https (with http beside it) where --https is set, else to listen"
	for _, tt := range []struct{ kind, names, want string }{
		{"https", "https:http:admin", "public " + at[0] + ", plain " + at[1] + ", admin " + at[2] + ", [], for children false"},
		{"https", "https:admin", "public " + at[0] + ", plain none, admin " + at[1] + ", " + noPlain + ", for children false"},
		{"open", "listen:admin", "public " + at[0] + ", plain none, admin " + at[1] + ", [], for children false"},
		{"open", "admin", ", plain none, admin " + at[0] + ", [], for children false"},
		{"open", "https:http", fmt.Sprintf(notUsed, `"http" "https"`)},
		{"https", "https:https", fmt.Sprintf(notUsed, `"https"`)},
		{"https", "https:stockroom.socket", fmt.Sprintf(notUsed, `"stockroom.socket"`)},
	} {
		n := 1 + strings.Count(tt.names, ":")
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), asService+"="+tt.kind, "LISTEN_FDS="+strconv.Itoa(n), "LISTEN_FDNAMES="+tt.names)
		child.ExtraFiles = files[:n]
		out, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s by %s: %v\n%swant %s", tt.names, tt.kind, err, out, tt.want)
		}
	}
}
