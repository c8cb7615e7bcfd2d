package code

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree is the files to look at.
type tree struct {
	files   []string // relative, with slashes, sorted
	tracked map[string]bool
	git     bool // tracked is known
	notes   []string
}

// skipped are folders that hold what others wrote or machines made.
var skipped = []string{".git", ".hg", ".svn", "vendor", "node_modules", "bower_components", ".venv", "venv", "__pycache__", ".tox", ".gradle", ".next", ".nuxt", ".terraform", ".cache"}

// list names the files of a tree: in a git repository those that are tracked or
// would be, elsewhere all of them. Links are not followed.
func list(ctx context.Context, dir string) (*tree, error) {
	if t, ok := listGit(ctx, dir); ok {
		return t, nil
	}
	t := &tree{tracked: map[string]bool{}}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == dir {
				return err
			}
			t.notes = append(t.notes, "not readable: "+filepath.ToSlash(name))
			if d != nil && d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case d.IsDir() && name != dir && slices.Contains(skipped, d.Name()):
			return filepath.SkipDir
		case d.Type().IsRegular():
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			t.files = append(t.files, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(t.files)
	return t, err
}

// listGit asks git for the files, so that what .gitignore names, such as the
// .env of a developer, is left alone.
func listGit(ctx context.Context, dir string) (*tree, bool) {
	if !inRepository(dir) {
		return nil, false
	}
	tracked, err := git(ctx, dir, "ls-files", "-z", "--cached")
	if err != nil {
		return nil, false
	}
	others, err := git(ctx, dir, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return nil, false
	}
	t := &tree{tracked: map[string]bool{}, git: true}
	for i, list := range [][]string{tracked, others} {
		for _, name := range list {
			if slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(part string) bool { return slices.Contains(skipped, part) }) {
				continue
			}
			t.files = append(t.files, name)
			t.tracked[name] = i == 0
		}
	}
	slices.Sort(t.files)
	t.files = slices.Compact(t.files) // a file in conflict is listed three times
	return t, true
}

// inRepository reports whether dir or a folder above it holds .git.
func inRepository(dir string) bool {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
	return false
}

// git runs a question that only reads. The repository is a stranger's: what its
// configuration would have git run is switched off.
func git(ctx context.Context, dir string, args ...string) ([]string, error) {
	args = append([]string{"-C", dir, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.untrackedCache=false"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range bytes.SplitSeq(out, []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

// isTest reports whether a file is a test or a sample: what stands there runs
// in no product.
func isTest(name string) bool {
	base := strings.ToLower(path.Base(name))
	for _, part := range strings.Split(strings.ToLower(path.Dir(name)), "/") {
		switch part {
		case "test", "tests", "testdata", "__tests__", "__mocks__", "spec", "specs", "fixtures", "examples", "example":
			return true
		}
	}
	return strings.HasSuffix(base, "_test.go") || strings.HasPrefix(base, "test_") || strings.Contains(base, ".test.") ||
		strings.Contains(base, ".spec.") || strings.HasSuffix(base, "_test.py") || strings.HasSuffix(base, "_spec.rb") ||
		strings.HasSuffix(base, "test.java") || strings.HasSuffix(base, "tests.cs") || strings.HasSuffix(base, "test.php")
}
