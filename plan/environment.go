package plan

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
