package plan

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/catalog"
)

// EmbeddedSpec marks a document that is inside the program: embedded:NAME.
const EmbeddedSpec = "embedded:"

// SpecPath is where the pinned document of the provider is: a path, relative
// ones taken from the plan's folder, or embedded:NAME. It is empty when the plan
// pins none.
func (p *Plan) SpecPath() string {
	if p.Profile.Spec == nil {
		return ""
	}
	file := p.Profile.Spec.File
	if strings.HasPrefix(file, EmbeddedSpec) || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(p.File), file)
}

// ReadSpec reads a provider's document from a path as SpecPath gives it.
func ReadSpec(path string) ([]byte, error) {
	if name, embedded := strings.CutPrefix(path, EmbeddedSpec); embedded {
		return catalog.ReadDocument(name)
	}
	return os.ReadFile(path)
}
