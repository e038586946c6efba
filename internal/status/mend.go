package status

import "stockroom/internal/config"

// Mend is how the access to a shop is given again that Shopify takes no more: words,
// and the command at their end, "" where no command can do it.
func (c Connection) Mend() (words, command string) {
	switch {
	case c.FromEnvironment && c.Access == ByToken:
		return "Give a new token in SHOPIFY_ACCESS_TOKEN, and restart Stockroom.", ""
	case c.FromEnvironment:
		return "Give working ones in SHOPIFY_API_KEY and SHOPIFY_API_SECRET, and restart Stockroom.", ""
	case c.Access == ByConsent:
		return "Ask the shop's owner to let the app in again with this command:", "shop connect " + c.Shop
	case c.Access == ByToken:
		return "Give a new token with this command, as its standard input:", "shop add " + c.Shop + " --access-token-file -"
	}
	return "Give working ones with this command:", config.ConnectWords(c.Shop)
}

// giveSecret is how the client secret of a shop is given.
func (c Connection) giveSecret() (words, command string) {
	if c.FromEnvironment {
		return "Give the right one in SHOPIFY_API_SECRET, and restart Stockroom.", ""
	}
	return "Give the right one with this command:", "shop add " + c.Shop
}
