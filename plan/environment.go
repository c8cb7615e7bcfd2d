package plan

// BaseURL is where calls of an environment go: its own address, or else the
// profile's. It is empty when neither is known.
func (p *Plan) BaseURL(environment string) string {
	if own := p.Environments[environment].BaseURL; own != "" || p.Provider == nil {
		return own
	}
	return p.Provider.API.BaseURL
}

// Production reports whether an environment by this name holds live
// credentials and real customers: production, prod or live. Every other name
// is a stage that must never hold a live key (R2.11).
func Production(environment string) bool {
	switch environment {
	case "production", "prod", "live":
		return true
	}
	return false
}
