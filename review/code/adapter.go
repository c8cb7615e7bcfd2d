package code

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/review"
)

// adapters looks for places outside of the adapter that know a provider (R0.6).
func (s *scan) adapters() {
	byProvider := map[string][]mention{}
	for _, m := range s.mentions {
		byProvider[m.provider] = append(byProvider[m.provider], m)
	}
	for _, id := range slices.Sorted(maps.Keys(byProvider)) {
		list := byProvider[id]
		folders, named := s.adapterOf(id, list)
		s.asked["R0.6"] += len(list)
		seen := map[string]bool{}
		for _, m := range list {
			key := fmt.Sprintf("%s:%d", m.file, m.line)
			if within(m.file, folders) || seen[key] {
				continue
			}
			seen[key] = true
			f := review.NewFinding("R0.6", review.Fail, fmt.Sprintf("%s stands outside of %s", m.words(s.names), named))
			f.File, f.Line, f.Column = s.path(m.file), m.line, m.column
			f.Fingerprint = review.Fingerprint("R0.6", m.file, m.provider, m.text)
			s.report.Findings = append(s.report.Findings, f)
		}
	}
}

// adapterOf are the folders that may know a provider, and what to call them.
func (s *scan) adapterOf(id string, list []mention) (folders []string, named string) {
	if len(s.options.Adapters) > 0 {
		for _, a := range s.options.Adapters {
			folders = append(folders, path.Clean(strings.ReplaceAll(a, `\`, "/")))
		}
		return folders, "the adapter " + strings.Join(folders, ", ")
	}
	count := map[string]int{}
	for _, m := range list {
		count[path.Dir(m.file)]++
	}
	best := slices.MaxFunc(slices.Sorted(maps.Keys(count)), func(a, b string) int {
		return cmp.Or(compareBool(namedFor(a, id), namedFor(b, id)), cmp.Compare(count[a], count[b]), cmp.Compare(len(b), len(a)), strings.Compare(b, a))
	})
	return []string{best}, fmt.Sprintf("%s, which knows %s best", cmp.Or(strings.TrimPrefix(best, "."), "the root folder"), s.names.label(id))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// namedFor reports whether a folder is named for a provider, or for adapters.
func namedFor(folder, id string) bool {
	base := plain(path.Base(folder))
	return strings.Contains(base, plain(id)) || strings.HasPrefix(base, "adapter") || strings.HasPrefix(base, "integration")
}

// within reports whether a file is in one of the folders. A root folder holds
// the files beside each other in it alone.
func within(file string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		if folder == "." {
			return path.Dir(file) == "."
		}
		return file == folder || strings.HasPrefix(file, folder+"/")
	})
}
