package shopify

import (
	"errors"
	"time"

	"stockroom/internal/config"
)

// ErrNoShop is returned by Credentials for a shop that is not connected.
var ErrNoShop = errors.New("the shop is not connected")

// Credentials are kept by somebody else: the client asks for them at each call,
// so that a change counts at once.
type Credentials interface {
	// App returns what the shop's app is known by, or ErrNoShop.
	App(shop string) (App, error)
	// Token returns the cached token of the client-credentials grant; false when
	// there is none, it has expired, or it belongs to other credentials.
	Token(shop string, now time.Time) (Token, bool)
	// SetToken caches a token durably, so that a restart does not ask again.
	SetToken(shop string, t Token) error
	// DropToken forgets the cached token: Shopify refused it.
	DropToken(shop string) error
}

// App is an app's credentials for one shop.
type App struct {
	ClientID    string
	Secret      config.Secret
	AccessToken config.Secret // static; unset: tokens are asked for with the other two
}

// Token is an access token that Shopify gave for client id and secret.
type Token struct {
	Value      config.Secret
	Scopes     []string
	ObtainedAt time.Time
	ExpiresAt  time.Time
}
