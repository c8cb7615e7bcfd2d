package code

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/sallyport/sallyport/review"
)

// sends are the functions of net/http that wait for another machine.
var sends = regexp.MustCompile(`^(?:\(\*net/http\.Client\)\.(?:Do|Get|Head|Post|PostForm)|net/http\.(?:Get|Head|Post|PostForm)|\(\*?net/http\.(?:RoundTripper|Transport)\)\.RoundTrip)$`)

// local are functions of an SDK that return an error and wait for nobody.
var local = regexp.MustCompile(`(?i)^(?:new|with|construct|verif|valid|parse|unmarshal|marshal|string|error|decode|encode|must|set|check)`)

// call takes in one call. Lost says that its error is thrown away, beside that
// nobody waits for it.
func (r *reader) call(f *function, n *ast.CallExpr, lost, beside bool) {
	name, fn := r.callee(n)
	if name == "" {
		return
	}
	if verifying.MatchString(name) {
		f.checks = true
	}
	fails := fn == nil || lastIsError(fn)
	what, provider := r.provider(name, fn)
	if provider != "" {
		if fails {
			r.program.scan.asked["R7.2.3"]++
			if lost && !r.src.test && fn != nil {
				r.program.lost(r, n, name, what)
			}
		}
		if !beside && f.found == "" {
			f.found, f.foundAt = what, r.at(n.Pos())
		}
		return
	}
	if !beside || fn != nil {
		f.calls = append(f.calls, outgoing{key: name, at: r.at(n.Pos()), ignored: lost && fn != nil && fails})
	}
	if beside {
		f.calls[len(f.calls)-1].key = "" // it runs on its own
	}
	if fn != nil {
		r.dispatch(f, fn, n)
	}
}

// dispatch adds what an interface's method may be in this module: every method
// of the same name and the same parameters. That is generous; a handler that
// calls through an interface rarely has two of them.
func (r *reader) dispatch(f *function, fn *types.Func, n *ast.CallExpr) {
	signature := fn.Signature()
	if signature.Recv() == nil || !types.IsInterface(signature.Recv().Type()) {
		return
	}
	f.calls = append(f.calls, outgoing{key: "?" + methodKey(fn), at: r.at(n.Pos())})
}

func methodKey(fn *types.Func) string {
	s := fn.Signature()
	return fn.Name() + s.Params().String() + s.Results().String()
}

// callee is the full name of what is called, and its type where it is known.
func (r *reader) callee(n *ast.CallExpr) (string, *types.Func) {
	if r.info != nil {
		fn, ok := typeutil.Callee(r.info, n).(*types.Func)
		if !ok {
			return "", nil
		}
		return fn.Origin().FullName(), fn
	}
	switch fun := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		return r.path + "." + fun.Name, nil
	case *ast.SelectorExpr:
		text := types.ExprString(fun)
		first, rest, ok := strings.Cut(text, ".")
		if full := r.imports[first]; ok && full != "" {
			return full + "." + rest, nil
		}
		return r.path + "." + fun.Sel.Name, nil
	}
	return "", nil
}

func lastIsError(fn *types.Func) bool {
	results := fn.Signature().Results()
	if results.Len() == 0 {
		return false
	}
	return types.Identical(results.At(results.Len()-1).Type(), types.Universe.Lookup("error").Type())
}

// provider says whether a call waits for a provider: a function of its SDK that
// can fail, or one of net/http in a package that knows the provider's host.
func (r *reader) provider(name string, fn *types.Func) (what, id string) {
	names := r.program.scan.names
	if sends.MatchString(name) && r.unit.provider != "" {
		return names.label(r.unit.provider) + " (" + short(name) + ")", r.unit.provider
	}
	pkg, method := name, name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case fn != nil && fn.Pkg() != nil:
		pkg = fn.Pkg().Path()
		if !lastIsError(fn) && !strings.HasPrefix(method, "List") && !strings.HasPrefix(method, "Search") {
			return "", ""
		}
	case fn != nil:
		return "", ""
	default:
		slash := strings.LastIndexByte(pkg, '/')
		if dot := strings.IndexByte(pkg[slash+1:], '.'); dot >= 0 {
			pkg = pkg[:slash+1+dot]
		}
	}
	if id := names.library(golang, pkg); id != "" && !local.MatchString(method) {
		return names.label(id) + " (" + short(name) + ")", id
	}
	return "", ""
}

// short is a full name without the way to its package.
func short(name string) string {
	lead := ""
	for strings.HasPrefix(name, "(") || strings.HasPrefix(name, "*") {
		lead, name = lead+name[:1], name[1:]
	}
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	return strings.NewReplacer("(", "", "*", "", ")", "").Replace(lead + name)
}

// lost tells of an error that is thrown away.
func (p *program) lost(r *reader, n *ast.CallExpr, _, what string) {
	p.scan.waiting = append(p.scan.waiting, p.scan.finding(r.src, "R7.2.3", r.at(n.Pos()), "the error of a call of "+what+" is thrown away"))
}

// registers takes in that a handler is put under an address.
func (r *reader) registers(f *function, n *ast.CallExpr) {
	if len(n.Args) < 2 {
		return
	}
	address, ok := r.constant(n.Args[0])
	if !ok || !webhookly.MatchString(address) || !strings.Contains(address, "/") {
		return
	}
	method := ""
	if sel, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"GET", "PUT", "PATCH", "DELETE", "Get", "Put", "Patch", "Delete"}, sel.Sel.Name) {
		method = sel.Sel.Name
	}
	if verb, rest, ok := strings.Cut(address, " "); ok {
		method, address = verb, rest
	}
	guarded := false
	for _, arg := range n.Args[1:] {
		ast.Inspect(arg, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.Ident:
				guarded = guarded || verifying.MatchString(node.Name)
			case *ast.FuncLit:
				if r.isHandler(node.Type) {
					inner := r.literal(f, node)
					r.program.pending = append(r.program.pending, registration{key: inner.key, method: method, path: address})
				}
				return false
			}
			return true
		})
		if key := r.reference(arg); key != "" {
			r.program.pending = append(r.program.pending, registration{key: key, method: method, path: address, guarded: guarded})
		}
	}
}

// reference is the key of a function that is handed over as a value.
func (r *reader) reference(arg ast.Expr) string {
	if call, ok := arg.(*ast.CallExpr); ok && len(call.Args) == 1 { // http.HandlerFunc(f), guard(f)
		return r.reference(call.Args[0])
	}
	var name *ast.Ident
	switch arg := arg.(type) {
	case *ast.Ident:
		name = arg
	case *ast.SelectorExpr:
		name = arg.Sel
	default:
		return ""
	}
	if r.info == nil {
		return r.path + "." + name.Name
	}
	if fn, ok := r.info.Uses[name].(*types.Func); ok {
		return fn.Origin().FullName()
	}
	return ""
}

// constant is the text of an expression that is one.
func (r *reader) constant(e ast.Expr) (string, bool) {
	if r.info != nil {
		if tv, ok := r.info.Types[e]; ok && tv.Value != nil && tv.Value.Kind() == constant.String {
			return constant.StringVal(tv.Value), true
		}
		return "", false
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// judge asks the rules, once all is read.
func (p *program) judge() {
	for _, route := range p.pending {
		if f := p.functions[route.key]; f != nil {
			f.webhook, f.method = true, route.method
			f.handler = true
			f.checks = f.checks || route.guarded
		}
	}
	p.link()
	for _, key := range p.order {
		f := p.functions[key]
		src, ok := p.source(f)
		if !ok || src.test {
			continue
		}
		for _, c := range f.calls {
			if to := p.functions[c.key]; c.ignored && to != nil && to.pkg.provider != "" && to.pkg != f.pkg {
				if way, _ := p.reaches(to); len(way) > 0 {
					p.scan.waiting = append(p.scan.waiting, p.scan.finding(src, "R7.2.3", c.at, "the error of "+to.label+", which calls "+way[len(way)-1]+", is thrown away"))
				}
			}
		}
		if f.handler {
			p.handler(f, src)
		}
	}
}

// handler asks the rules about handlers.
func (p *program) handler(f *function, src source) {
	takes := f.webhook && !slices.Contains([]string{"GET", "PUT", "PATCH", "DELETE"}, strings.ToUpper(f.method))
	rule := "R7.2.2"
	if takes {
		rule = "R7.2.4"
		p.scan.asked["R7.2.5"]++
		if !p.verifies(f) {
			p.scan.waiting = append(p.scan.waiting, p.unverified(f, src))
		}
	}
	p.scan.asked[rule]++
	if way, at := p.reaches(f); len(way) > 0 {
		message := f.label + " waits for " + way[len(way)-1]
		if len(way) > 1 {
			message += ", by way of " + strings.Join(way[:len(way)-1], ", ")
		}
		p.scan.waiting = append(p.scan.waiting, p.scan.finding(src, rule, at, message))
	}
}

func (p *program) unverified(f *function, src source) review.Finding {
	out := p.scan.finding(src, "R7.2.5", f.at, f.label+" takes webhooks and calls nothing that verifies a signature")
	if f.pkg.provider == "" && !p.scan.names.named(f.label+src.name) {
		out.Severity = review.Warning
		out.Message += "; if your own customers call it, ignore this with a reason"
	}
	return out
}

func (p *program) source(f *function) (source, bool) {
	if i, ok := p.sourceAt(f.file); ok {
		return p.scan.sources[i], true
	}
	return source{}, false
}

// link puts the methods of the module behind calls through an interface.
func (p *program) link() {
	byMethod := map[string][]string{}
	for _, key := range p.order {
		if f := p.functions[key]; f.dispatched != "" {
			byMethod[f.dispatched] = append(byMethod[f.dispatched], key)
		}
	}
	for _, key := range p.order {
		f := p.functions[key]
		var more []outgoing
		for _, c := range f.calls {
			if method, ok := strings.CutPrefix(c.key, "?"); ok {
				for _, to := range byMethod[method] {
					more = append(more, outgoing{key: to, at: c.at})
				}
			}
		}
		f.calls = append(f.calls, more...)
	}
}

// reaches is the shortest way from a function to a call of a provider: the
// functions in between and the call; none when there is none. At is the place in
// the function where it begins.
func (p *program) reaches(f *function) (way []string, at int) {
	if f.found != "" {
		return []string{f.found}, f.foundAt
	}
	type step struct {
		f    *function
		way  []string
		from int
	}
	seen := map[string]bool{f.key: true}
	queue := []step{{f: f, from: -1}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, c := range s.f.calls {
			to := p.functions[c.key]
			if to == nil || seen[c.key] {
				continue
			}
			seen[c.key] = true
			from := s.from
			if from < 0 {
				from = c.at
			}
			next := append(slices.Clone(s.way), to.label)
			if to.found != "" {
				return append(next, to.found), from
			}
			queue = append(queue, step{to, next, from})
		}
	}
	return nil, 0
}

// verifies reports whether a function, or what it calls in the module, calls
// something that verifies.
func (p *program) verifies(f *function) bool {
	seen := map[string]bool{}
	var ask func(f *function) bool
	ask = func(f *function) bool {
		if f == nil || seen[f.key] {
			return false
		}
		seen[f.key] = true
		return f.checks || slices.ContainsFunc(f.calls, func(c outgoing) bool { return ask(p.functions[c.key]) })
	}
	return ask(f)
}
