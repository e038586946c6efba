package config

// Exit codes of every command.
const (
	ExitOK          = 0 // it worked
	ExitFailed      = 1 // it did not work, and no code below says why
	ExitUsage       = 2 // the command line makes no sense
	ExitConfig      = 3 // a setting is wrong or missing
	ExitData        = 4 // the data dir can't be used, or another process holds its lock
	ExitIntegrity   = 5 // a store or a backup is damaged
	ExitUnreachable = 6 // Shopify can't be reached
)
