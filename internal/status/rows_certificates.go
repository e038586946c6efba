package status

import (
	"slices"
	"strings"

	"stockroom/internal/certs"
)

// Certificate is how the certificate of one name stands.
type Certificate struct {
	certs.State
	// Awaited: Shopify delivers to this name, and deliveries are waited for.
	Awaited bool
}

// certificateMissing holds where Shopify can't deliver for want of a certificate.
func certificateMissing(f *Facts) (Line, bool) {
	c := f.certificate(func(c Certificate) bool { return c.Awaited && !c.Have(f.Now) })
	switch {
	case c == nil:
		return no()
	case c.NotAfter.IsZero() && c.Failed.IsZero():
		l, _ := yes(say("A first certificate for "+c.Name+" is being asked for."),
			say("This takes a minute at most. Shopify can't deliver before that; comparisons find what changes meanwhile."))
		l.Mood = Wait
		return l, true
	}
	return yes(say("Shopify can't deliver: ", c.lack(), "."),
		say(c.causes(), "Comparisons still find what changed."))
}

// certificatePage holds where a name has none at which no delivery is waited for.
func certificatePage(f *Facts) (Line, bool) {
	c := f.certificate(func(c Certificate) bool { return !c.Awaited && !c.Have(f.Now) })
	if c == nil {
		return no()
	}
	return yes(say("https://"+c.Name+" can't be opened: ", c.lack(), "."), c.causes())
}

// certificateEnds holds where a certificate is not renewed as it should be.
func certificateEnds(f *Facts) (Line, bool) {
	c := f.certificate(func(c Certificate) bool {
		return c.Have(f.Now) && (c.Words != "" || !f.Now.Before(c.Late()))
	})
	switch {
	case c == nil:
		return no()
	case f.Now.Before(c.NotBefore):
		return yes(say("The certificate of "+c.Name+" begins at ", clock(c.NotBefore), ", by this machine's clock."),
			say(c.Words))
	}
	was := " could not be renewed"
	if c.Failed.IsZero() {
		was = " was not renewed in time"
	}
	goesOn := "Until then everything goes on. "
	if c.Awaited {
		goesOn = "Until then deliveries go on. "
	}
	return yes(say("The certificate of "+c.Name+was+"; it ends ", ahead(c.NotAfter), ", at ", clock(c.NotAfter), "."),
		say(goesOn, c.causes()))
}

// certificate is the first one of which something is so, nil for none.
func (f *Facts) certificate(is func(Certificate) bool) *Certificate {
	if i := slices.IndexFunc(f.Certificates, is); i >= 0 {
		return &f.Certificates[i]
	}
	return nil
}

// lack says which certificate there is not.
func (c *Certificate) lack() Words {
	if c.NotAfter.IsZero() {
		return say("there is no certificate for " + c.Name + " yet")
	}
	return say("the certificate of "+c.Name+" ended at ", clock(c.NotAfter))
}

// causes says why there is no new one, and when it is asked for again.
func (c *Certificate) causes() Words {
	w := say(strings.TrimLeft(c.Words+" ", " "))
	switch {
	case c.Trying:
		return say(w, "It is being asked for now. ")
	case c.Next.IsZero():
		return w
	}
	return say(w, "The next try begins by ", clock(c.Next), ", or at once after a restart. ")
}
