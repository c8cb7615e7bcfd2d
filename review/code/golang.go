package code

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// function is a function of the scanned module, or a handler written in place.
type function struct {
	key     string // package path and name, unique
	label   string // as people say it: billing.Charge
	file    string // relative to Dir
	at      int    // where it is declared
	pkg     *unit
	handler bool
	webhook bool
	method  string // of the route, where it is told
	calls   []outgoing
	found   string // the first provider call that it makes itself; empty for none
	foundAt int
	checks  bool // it calls something that verifies
	// dispatched is how a call through an interface names this method.
	dispatched string
}

// outgoing is a call of one function by another.
type outgoing struct {
	key     string // of a function of the module, or the full name of another
	at      int
	ignored bool // its error is thrown away
}

// unit is a package of the module.
type unit struct {
	name     string            // its package name
	files    map[string]source // by their place on the disk
	provider string            // whose hosts or SDK it knows; empty for none
}

// program is the Go code of a tree, as far as the rules need it.
type program struct {
	scan      *scan
	fset      *token.FileSet
	functions map[string]*function
	order     []string
	pending   []registration
	typed     int // packages read by their types
}

// registration is the registration of a handler under an address.
type registration struct {
	key, method, path string
	guarded           bool // something that verifies stands around it
}

// golang reads the Go code, by its types where they can be had.
func (s *scan) golang(ctx context.Context) error {
	if len(s.sources) == 0 {
		return nil
	}
	slices.SortFunc(s.sources, func(a, b source) int { return strings.Compare(a.name, b.name) })
	p := &program{scan: s, fset: token.NewFileSet(), functions: map[string]*function{}}
	typed := map[string]bool{}
	if !s.options.NoTypes {
		for _, root := range s.modules() {
			if err := p.load(ctx, root, typed); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				s.report.Notes = append(s.report.Notes, fmt.Sprintf("Go in %s was read by its syntax alone: %v", root, err))
			}
		}
	}
	p.syntax(typed)
	p.judge()
	return nil
}

// modules are the folders with a go.mod; the root when there is none.
func (s *scan) modules() []string {
	var out []string
	for _, name := range s.tree.files {
		if path.Base(name) == "go.mod" && !isTest(name) {
			out = append(out, filepath.Join(s.options.Dir, filepath.FromSlash(path.Dir(name))))
		}
	}
	if len(out) > 20 {
		s.report.Notes = append(s.report.Notes, fmt.Sprintf("of %d Go modules, 20 were read by their types", len(out)))
		out = out[:20]
	}
	return out
}

// load reads a module by its types. Nothing of it is run: cgo is off, and what
// is not on this machine is not fetched.
func (p *program) load(ctx context.Context, root string, typed map[string]bool) error {
	list, err := packages.Load(&packages.Config{
		Context: ctx, Dir: root, Fset: p.fset,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule,
		Env:  append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOWORK=off", "GOSUMDB=off"),
	}, "./...")
	if err != nil {
		return err
	}
	bad := 0
	for _, pkg := range list {
		if len(pkg.Errors) > 0 || pkg.TypesInfo == nil || pkg.IllTyped {
			bad++
			continue
		}
		if p.add(pkg, typed) {
			p.typed++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%s of %d could not be compiled", plural(bad, "package"), len(list))
	}
	if len(list) == 0 {
		return errors.New("no packages")
	}
	return nil
}

// relative is the name of a file below Dir; false for one outside of it, such as
// what the build cache holds.
func (s *scan) relative(file string) (string, bool) {
	dir, err := filepath.Abs(s.options.Dir)
	if err != nil {
		return "", false
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	rel, err := filepath.Rel(dir, file)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// add takes in a package that was read by its types.
func (p *program) add(pkg *packages.Package, typed map[string]bool) bool {
	u := &unit{name: pkg.Name, files: map[string]source{}}
	for _, file := range pkg.CompiledGoFiles {
		name, ok := p.scan.relative(file)
		if !ok {
			continue
		}
		if i, ok := p.sourceAt(name); ok {
			u.files[file] = p.scan.sources[i]
		}
	}
	u.provider = p.providerOf(u)
	for _, file := range pkg.Syntax {
		name := p.fset.Position(file.Package).Filename
		src, ok := u.files[name]
		if !ok {
			continue
		}
		typed[src.name] = true
		(&reader{program: p, unit: u, src: src, file: p.fset.File(file.Package), path: pkg.PkgPath, info: pkg.TypesInfo}).read(file)
	}
	return len(u.files) > 0
}

func (p *program) sourceAt(name string) (int, bool) {
	return slices.BinarySearchFunc(p.scan.sources, name, func(s source, name string) int { return strings.Compare(s.name, name) })
}

// providerOf is the provider that the files of a package know.
func (p *program) providerOf(u *unit) string {
	for _, m := range p.scan.mentions {
		for _, src := range u.files {
			if src.name == m.file {
				return m.provider
			}
		}
	}
	return ""
}

// syntax reads what was not read by its types.
func (p *program) syntax(typed map[string]bool) {
	units := map[string]*unit{}
	for _, src := range p.scan.sources {
		if typed[src.name] || src.test {
			continue
		}
		file, err := parser.ParseFile(p.fset, src.name, src.text, parser.SkipObjectResolution)
		if file == nil || err != nil && len(file.Decls) == 0 {
			continue
		}
		dir := path.Dir(src.name)
		u := units[dir]
		if u == nil {
			u = &unit{name: file.Name.Name, files: map[string]source{}}
			units[dir] = u
		}
		u.files[src.name] = src
		u.provider = p.providerOf(u)
		(&reader{program: p, unit: u, src: src, file: p.fset.File(file.Package), path: dir}).read(file)
	}
}

// reader reads one file. Without info it goes by the names in the syntax.
type reader struct {
	program *program
	unit    *unit
	src     source
	file    *token.File
	path    string
	info    *types.Info
	imports map[string]string // name in the file → import path
	inPlace int
}

func (r *reader) at(pos token.Pos) int { return r.file.Offset(pos) }

func (r *reader) read(file *ast.File) {
	r.imports = map[string]string{}
	for _, spec := range file.Imports {
		full := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(major.ReplaceAllString(full, ""))
		name = strings.TrimPrefix(strings.TrimSuffix(name, "-go"), "go-")
		if spec.Name != nil {
			name = spec.Name.Name
		}
		r.imports[name] = full
	}
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok || d.Body == nil {
			continue
		}
		f := &function{key: r.declared(d), label: r.unit.name + "." + d.Name.Name, file: r.src.name, at: r.at(d.Pos()), pkg: r.unit}
		f.handler = r.isHandler(d.Type)
		f.webhook = webhookly.MatchString(d.Name.Name)
		if r.info != nil && d.Recv != nil {
			if fn, ok := r.info.Defs[d.Name].(*types.Func); ok {
				f.dispatched = methodKey(fn)
			}
		}
		r.body(f, d.Body)
	}
}

// declared is the key of a declaration: what types call it, or the package's
// folder and its name.
func (r *reader) declared(d *ast.FuncDecl) string {
	if r.info != nil {
		if obj, ok := r.info.Defs[d.Name].(*types.Func); ok {
			return obj.FullName()
		}
	}
	return r.path + "." + d.Name.Name
}

// handlerTypes are what the parameter of a handler looks like.
var handlerTypes = regexp.MustCompile(`^\*?(?:net/)?http\.ResponseWriter$|^\*(?:\S*/)?gin\.Context$|^(?:\S*/)?echo(?:/v\d+)?\.Context$|^\*?(?:\S*/)?fiber(?:/v\d+)?\.Ctx$|^\*(?:\S*/)?fasthttp\.RequestCtx$`)

// isHandler reports whether a function answers requests: by its parameters.
func (r *reader) isHandler(t *ast.FuncType) bool {
	for _, field := range t.Params.List {
		text := types.ExprString(field.Type)
		if r.info != nil {
			if tv, ok := r.info.Types[field.Type]; ok && tv.Type != nil {
				text = tv.Type.String()
			}
		}
		if handlerTypes.MatchString(text) {
			return true
		}
	}
	return false
}

// body reads a function. What it writes in place belongs to it, but for
// handlers, which are functions of their own, and for what runs beside it (go).
func (r *reader) body(f *function, body *ast.BlockStmt) {
	r.program.functions[f.key] = f
	r.program.order = append(r.program.order, f.key)
	beside := map[ast.Node]bool{}
	lost := map[*ast.CallExpr]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			beside[n.Call] = true
			lost[n.Call] = true
			r.call(f, n.Call, true, true)
			if lit, ok := n.Call.Fun.(*ast.FuncLit); ok {
				inner := &function{key: r.next(f), label: f.label, file: r.src.name, at: r.at(lit.Pos()), pkg: r.unit}
				r.body(inner, lit.Body)
			}
			return false
		case *ast.DeferStmt:
			lost[n.Call] = true
		case *ast.ExprStmt:
			if call, ok := n.X.(*ast.CallExpr); ok {
				lost[call] = true
			}
		case *ast.AssignStmt:
			if call, ok := r.errorInto(n); ok {
				lost[call] = true
			}
		case *ast.FuncLit:
			if r.isHandler(n.Type) {
				r.literal(f, n)
				return false
			}
		case *ast.CallExpr:
			r.call(f, n, lost[n], beside[n])
			r.registers(f, n)
		}
		return true
	})
}

func (r *reader) next(f *function) string {
	r.inPlace++
	return fmt.Sprintf("%s$%d", f.key, r.inPlace)
}

// literal reads a handler that is written in place.
func (r *reader) literal(f *function, lit *ast.FuncLit) *function {
	inner := &function{key: fmt.Sprintf("%s$%d", f.key, lit.Pos()), label: "a handler in " + f.label, file: r.src.name, at: r.at(lit.Pos()), pkg: r.unit, handler: true, webhook: f.webhook}
	if r.program.functions[inner.key] == nil {
		r.body(inner, lit.Body)
	}
	return inner
}

// errorInto is the call whose last result, its error, is assigned to _.
func (r *reader) errorInto(n *ast.AssignStmt) (*ast.CallExpr, bool) {
	if len(n.Rhs) != 1 || len(n.Lhs) == 0 {
		return nil, false
	}
	call, ok := n.Rhs[0].(*ast.CallExpr)
	last, blank := n.Lhs[len(n.Lhs)-1].(*ast.Ident)
	return call, ok && blank && last.Name == "_"
}
