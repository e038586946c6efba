package cli

// manual is what the help of a command shows beside its arguments and flags.
type manual struct {
	settings string // those it uses beside --data, by name
	examples []string
}

const (
	everySetting = "*"
	ofCalls      = "api-base api-version limit-points limit-window limit-adaptive breaker-failures breaker-reset"
)

// manuals are by the command's path. A test parses each example.
func manuals() map[string]manual {
	return map[string]manual{
		"serve": {everySetting, []string{
			"stockroom serve --data /var/lib/stockroom --public-url https://stock.example.com",
			"STOCKROOM_DATA=/var/lib/stockroom stockroom serve",
			"stockroom serve --config /etc/stockroom.toml",
		}},
		"demo": {"listen admin-listen log-format", []string{
			"stockroom demo", "stockroom demo --chaos wild --rate 20", "stockroom demo --seed 7 --products 500 --data ./demo",
		}},
		"simulate": {"log-format", []string{
			"stockroom simulate", "stockroom simulate --products 1000 --target http://127.0.0.1:8080",
		}},
		"shop add": {"api-base api-version", []string{
			"stockroom shop add my-shop.myshopify.com --api-key CLIENT_ID",
			"stockroom shop add my-shop.myshopify.com --api-key CLIENT_ID --secret-file secret.txt",
			"stockroom shop add my-shop.myshopify.com --access-token-file token.txt",
		}},
		"shop list":   {"", []string{"stockroom shop list", "stockroom shop list --json"}},
		"shop remove": {"", []string{"stockroom shop remove my-shop.myshopify.com", "stockroom shop remove my-shop.myshopify.com --purge"}},
		"shop calls": {"breaker-failures breaker-reset", []string{
			"stockroom shop calls my-shop.myshopify.com --hold", "stockroom shop calls my-shop.myshopify.com --try",
		}},
		"select": {"", []string{
			"stockroom select my-shop.myshopify.com", "stockroom select my-shop.myshopify.com --rule tag=web --rule vendor=Acme",
			"stockroom select my-shop.myshopify.com --all --exclude 632910392",
		}},
		"webhooks list":     {"public-url " + ofCalls, []string{"stockroom webhooks list", "stockroom webhooks list my-shop.myshopify.com --json"}},
		"webhooks register": {"public-url " + ofCalls, []string{"stockroom webhooks register", "stockroom webhooks register --public-url https://stock.example.com"}},
		"webhooks test": {"", []string{
			"stockroom webhooks test", "stockroom webhooks test --topic products/delete", "stockroom webhooks test my-shop.myshopify.com --body product.json",
		}},
		"products list":   {"", []string{"stockroom products list --search shirt", "stockroom products list --status ACTIVE --limit 200 --json"}},
		"products get":    {"", []string{"stockroom products get my-shop.myshopify.com 632910392", "stockroom products get my-shop.myshopify.com gid://shopify/Product/632910392"}},
		"products export": {"", []string{"stockroom products export products.ndjson", "stockroom products export products.csv --format csv", "stockroom products export copy.db --format sqlite"}},
		"explain":         {"", []string{"stockroom explain my-shop.myshopify.com 632910392", "stockroom explain my-shop.myshopify.com 632910392 --json"}},
		"sync":            {ofCalls, []string{"stockroom sync", "stockroom sync my-shop.myshopify.com --full"}},
		"reconcile":       {ofCalls, []string{"stockroom reconcile --dry-run", "stockroom reconcile my-shop.myshopify.com"}},
		"queue list":      {"", []string{"stockroom queue list", "stockroom queue list --state dead", "stockroom queue list --json"}},
		"queue show":      {"", []string{"stockroom queue show 12", "stockroom queue show 12 --json"}},
		"queue retry":     {"", []string{"stockroom queue retry 12 13", "stockroom queue retry --all"}},
		"queue discard":   {"", []string{"stockroom queue discard 12", "stockroom queue discard --all --shop my-shop.myshopify.com"}},
		"doctor":          {everySetting, []string{"stockroom doctor", "stockroom doctor --json", "stockroom doctor --acknowledge"}},
		"open":            {"", []string{"stockroom open", "stockroom open --print"}},
		"token add":       {"", []string{"stockroom token add my-program", "stockroom token add prometheus --json"}},
		"token list":      {"", []string{"stockroom token list", "stockroom token list --json"}},
		"token remove":    {"", []string{"stockroom token remove my-program", "stockroom token remove my-program --json"}},
		"password set":    {"", []string{"stockroom password set", "stockroom password set --file password.txt"}},
		"password link":   {"", []string{"stockroom password link", "stockroom password link --data /var/lib/stockroom"}},
		"password clear":  {"", []string{"stockroom password clear", "stockroom password clear --data /var/lib/stockroom"}},
		"config print":    {everySetting, []string{"stockroom config print", "stockroom config print --config /etc/stockroom.toml", "stockroom config print --json"}},
		"healthcheck":     {"", []string{"stockroom healthcheck", "stockroom healthcheck --timeout 10s"}},
		"completion":      {"", []string{"source <(stockroom completion bash)", "stockroom completion fish | source"}},
		"version":         {"", []string{"stockroom version", "stockroom version --json"}},
		"help":            {"", []string{"stockroom help serve", "stockroom help queue retry", "stockroom help settings"}},
	}
}
