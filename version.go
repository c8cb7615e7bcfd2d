package sallyport

import "runtime/debug"

// Version is the version of this module in the running program, or "dev".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; info.Main.Path == modulePath && v != "" && v != "(devel)" {
		return v
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			return m.Version
		}
	}
	return "dev"
}

const modulePath = "github.com/sallyport/sallyport"
