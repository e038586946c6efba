package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// certificateDisk mounts a small disk where certificates are kept in a data dir.
func certificateDisk(t *testing.T) (dir, disk string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small disk")
	}
	dir = filepath.Join(t.TempDir(), "data")
	disk = filepath.Join(dir, "certificates")
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Skipf("needs a tmpfs mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	return dir, disk
}

// On a full disk none is asked for that could not be kept. When there is room, it is.
func TestAFullDiskOfCertificatesIsSaid(t *testing.T) {
	t.Parallel()
	sock := newSockets(t)
	dir, disk := certificateDisk(t)
	a := newAuthority(t, sock, authorityOptions{})
	empty := fillDisk(t, disk)
	s := serveHTTPS(t, dir, sock, a)
	var doc healthDoc
	await(t, "a try that failed", func() bool { doc = s.health(); return doc.Certificates[0].FailedAt != nil })
	want := "There is no room on the disk of " + disk + " for a certificate"
	if doc.Code != "certificate" || doc.Mood != "bad" || !strings.HasPrefix(doc.Next, want) {
		t.Errorf("%+v", doc)
	}
	if strings.Contains(a.out.String(), "/order-plz") {
		t.Error("a certificate was asked for that can't be kept")
	}
	empty()
	s.stop()
	serveHTTPS(t, dir, sock, a).awaitCertificate()
}

// A renewal that can't be kept is no end: what there is serves on, and the page says
// until when.
func TestAReadOnlyFolderOfCertificatesStopsNoDelivery(t *testing.T) {
	t.Parallel()
	sock := newSockets(t)
	dir, disk := certificateDisk(t)
	a := newAuthority(t, sock, authorityOptions{Validity: 4 * time.Minute})
	s := serveHTTPS(t, dir, sock, a)
	s.awaitCertificate()
	s.stop()
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s = serveHTTPS(t, dir, sock, a)
	var doc healthDoc
	await(t, "a renewal that failed", func() bool { doc = s.health(); return doc.Certificates[0].FailedAt != nil })
	found := false
	for _, l := range doc.Lines {
		found = found || l.Code == "certificate-ends" && l.Mood == "wait" &&
			strings.HasPrefix(l.Sentence, "The certificate of shop.example.com could not be renewed; it ends in ") &&
			strings.HasPrefix(l.Next, "Until then deliveries go on. Nothing can be written to "+disk)
	}
	if !found {
		t.Errorf("%+v", doc)
	}
	s.client = clientOf(sock, a.issued(), true)
	if r := s.post(delivery{Body: productBody(1, 1, 1)}); r.Status != http.StatusOK {
		t.Errorf("a delivery: %s", r)
	}
}
