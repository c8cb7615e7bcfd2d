package config

import (
	"bytes"
	"fmt"
)

//go:generate go run ./internal/reference ../docs/configuration.md

// Reference is the table of settings as Markdown; docs/configuration.md is made
// of it.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration of `sallyport serve`\n\n" +
		"Made from the settings' own table; `go generate ./config` makes it again.\n\n" +
		"Every setting is a flag, an environment variable and a key in the YAML file that `--config` (or `SALLYPORT_CONFIG`) names. A flag wins\n" +
		"over the variable, the variable over the file, the file over the default. Unknown keys are errors, and every mistake is listed at once.\n\n" +
		"| key | flag | variable | default | what it is |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range Settings() {
		value := "none"
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		text := s.Help
		if s.Manual != "" {
			text += ". " + s.Manual
		}
		fmt.Fprintf(&b, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.Key, s.Flag(), s.Variable(), value, text)
	}
	b.WriteString("\nSecrets are not settings: plans name them as references (`env:NAME`, `file:PATH`), which are resolved at start and again on SIGHUP.\n")
	return b.Bytes()
}
