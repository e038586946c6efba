package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	"github.com/mholt/acmez/v3/acme"
)

const longestDetail = 300 // bytes of what an authority or the system says

// trouble is what there is to say about a try that failed. In its words NAME stands for
// the name, AUTHORITY for the authority's host, DETAIL for what it or the system said.
type trouble struct {
	kind  string // of the problem document, without its namespace
	words string
}

// troubles are by the kind of an authority's answer (RFC 8555, 6.7).
var troubles = []trouble{
	{"dns", "AUTHORITY finds no address of NAME (DETAIL). Where the domain is managed, add an A record for NAME " +
		"with the public address of this machine."},
	{"connection", "AUTHORITY can't reach this machine as NAME (DETAIL). Let port 443 through the firewall or router " +
		"to this machine, and see that the A and AAAA records of NAME lead here."},
	{"unauthorized", somebodyElse},
	{"incorrectResponse", somebodyElse},
	{"tls", somebodyElse},
	{"caa", "The CAA records of the domain do not let AUTHORITY give a certificate for NAME (DETAIL). Where the domain " +
		"is managed, add a CAA record for this authority, or remove those that are there."},
	{"rateLimited", "AUTHORITY takes no more requests for NAME for some time (DETAIL). Wait, and keep the folder " +
		"\"certificates\" of the data dir: what is in it saves requests."},
	{"rejectedIdentifier", refusedName},
	{"unsupportedIdentifier", refusedName},
	{"malformed", "AUTHORITY does not understand the request for NAME (DETAIL). See that --https and --acme-directory " +
		"are right; if they are, report this as a fault of Stockroom."},
	{"externalAccountRequired", "AUTHORITY gives certificates only to accounts that were made there before, which " +
		"Stockroom can't use (DETAIL). Choose another authority with --acme-directory."},
	{"serverInternal", "AUTHORITY has trouble of its own (DETAIL). There is nothing to do here but wait."},
	{"", "AUTHORITY refuses a certificate for NAME (DETAIL)."},
}

const (
	somebodyElse = "Not this program answers when AUTHORITY asks for NAME (DETAIL). See that the A and AAAA records of " +
		"NAME lead to this machine and nowhere else, and that no proxy or CDN answers on port 443 in its place."
	refusedName = "AUTHORITY gives no certificate for the name NAME (DETAIL). See that --https has the right name, and " +
		"that it is a public one."

	againSoon = " Stockroom tries again by itself."
)

// words says why a try for a name failed, and what to do. directory is the address of
// the authority, folder the path of what is kept.
func words(name, directory, folder string, err error) string {
	authority := directory
	if u, parsed := url.Parse(directory); parsed == nil {
		authority = u.Host
	}
	text, detail := reason(err)
	return strings.NewReplacer("NAME", name, "AUTHORITY", authority, "FOLDER", folder, "DETAIL", clean(detail)).
		Replace(text) + againSoon
}

// reason finds the words for an error, and what it says in detail.
func reason(err error) (text, detail string) {
	if problem, ok := errors.AsType[acme.Problem](err); ok {
		return refused(problem)
	}
	for _, cause := range []struct {
		is    bool
		words string
	}{
		{errors.Is(err, errKept), "The certificate of NAME that is kept in FOLDER can't be used (DETAIL). " +
			"Move that folder away, so that a new one is made."},
		{isErr[x509.UnknownAuthorityError](err) || isErr[x509.SystemRootsError](err),
			"This machine does not trust the certificate of AUTHORITY itself (DETAIL). Install the system's " +
				"certificates of authorities (package ca-certificates), or, for an authority of your own, name the file " +
				"of its root in the variable SSL_CERT_FILE."},
		{outOfTime(err), "By this machine's clock the certificate of AUTHORITY itself is not valid (DETAIL). " +
			"The clock is probably wrong: set it (timedatectl set-ntp true)."},
		{isErr[x509.HostnameError](err), "What answers in the place of AUTHORITY is another server (DETAIL). " +
			"See that --acme-directory is right and that no proxy stands between."},
		{errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT), "There is no room on the disk of FOLDER for a certificate (DETAIL). " +
			"Make room."},
		{errors.Is(err, errStore),
			"Nothing can be written to FOLDER (DETAIL). Give it to the user that runs Stockroom (chown), and see that " +
				"its disk is mounted writable."},
		{isErr[*net.DNSError](err), "This machine can't look up the address of AUTHORITY (DETAIL). " +
			"See that it has a connection to the internet and a name server."},
		{isErr[net.Error](err) || errors.Is(err, context.DeadlineExceeded),
			"This machine can't reach AUTHORITY (DETAIL). See that it has a connection to the internet, and that a " +
				"firewall lets it connect to port 443 of others."},
	} {
		if cause.is {
			return cause.words, fmt.Sprint(innermost(err))
		}
	}
	return "No certificate for NAME could be had from AUTHORITY (DETAIL).", err.Error()
}

// refused finds the words for an answer of an authority. One that holds several takes
// the first.
func refused(problem acme.Problem) (text, detail string) {
	if len(problem.Subproblems) > 0 {
		return refused(problem.Subproblems[0].Problem)
	}
	kind := strings.TrimPrefix(problem.Type, acme.ProblemTypeNamespace)
	if kind != "rateLimited" && problem.Status >= 500 {
		kind = "serverInternal"
	}
	for _, t := range troubles {
		if t.kind == kind || t.kind == "" {
			text = t.words
			break
		}
	}
	if detail = problem.Detail; detail == "" {
		detail = fmt.Sprintf("status %d", problem.Status)
	}
	return text, detail
}

func isErr[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

// outOfTime reports whether a certificate was refused for the time that it is valid in.
func outOfTime(err error) bool {
	invalid, is := errors.AsType[x509.CertificateInvalidError](err)
	return is && invalid.Reason == x509.Expired
}

// innermost is what the system or another library said, without the steps that led there.
func innermost(err error) error {
	for {
		switch next := err.(type) {
		case interface{ Unwrap() []error }:
			err = next.Unwrap()[len(next.Unwrap())-1]
		case interface{ Unwrap() error }:
			if _, number := next.Unwrap().(syscall.Errno); number || next.Unwrap() == nil {
				return err
			}
			err = next.Unwrap()
		default:
			return err
		}
	}
}

// clean cuts what strangers say down to one line of some length.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSuffix(strings.ToValidUTF8(text, "?"), "."))
	if len(text) > longestDetail {
		text = strings.ToValidUTF8(text[:longestDetail], "") + "..."
	}
	return text
}
