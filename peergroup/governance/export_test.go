package governance

// Lossy returns the configuration of a service to which a message comes only if
// lose says no.
func Lossy(cfg Config, lose func() bool) Config {
	cfg.lose = lose
	return cfg
}
