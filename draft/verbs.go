package draft

import "slices"

// kind of an operation, or what a verb asks for.
type kind string

const (
	kindCreate kind = "create" // makes another one
	kindRead   kind = "read"   // one of them
	kindList   kind = "list"   // many of them
	kindUpdate kind = "update" // changes one
	kindDelete kind = "delete" // takes one away
	kindAction kind = "act"    // does something with one: pay, send, archive
	kindFollow kind = "follow" // only of verbs: know when it changes
)

// verb is what a word asks for.
type verb struct {
	kinds []kind
	// acts are actions that carry the verb out: who charges with invoices
	// finalizes and pays them.
	acts []string
	// names are the stems of all verbs that a word may mean, the likeliest
	// first; only of what a need says.
	names []string
	// does are stems of the actions among names and acts.
	does []string
}

// either is what a word asks for that may mean several verbs: what a resource
// can do decides.
func either(words []string) (v verb) {
	for _, word := range words {
		one, s := verbs[stem(word)], stem(word)
		if slices.Contains(v.names, s) {
			continue
		}
		v.names = append(v.names, s)
		for _, k := range one.kinds {
			if !slices.Contains(v.kinds, k) {
				v.kinds = append(v.kinds[:len(v.kinds):len(v.kinds)], k)
			}
		}
		v.acts = append(v.acts[:len(v.acts):len(v.acts)], one.acts...)
		if slices.Contains(one.kinds, kindAction) {
			v.does = append(append(v.does, s), stemAll(one.acts)...)
		}
	}
	return v
}

func asks(kinds ...kind) verb { return verb{kinds: kinds} }

// verbs by stem. The order of kinds is their weight: the first is what is meant.
var verbs = stemmed(map[string]verb{
	"create": asks(kindCreate), "add": asks(kindCreate), "make": asks(kindCreate), "register": asks(kindCreate), "open": asks(kindCreate, kindAction),
	"issue": asks(kindCreate), "start": asks(kindCreate, kindAction), "record": asks(kindCreate), "submit": asks(kindCreate, kindAction),
	"place": asks(kindCreate), "book": asks(kindCreate), "schedule": asks(kindCreate, kindAction), "upload": {kinds: []kind{kindCreate, kindAction}, acts: []string{"upload"}},
	"import": asks(kindCreate), "generate": asks(kindCreate), "set": asks(kindUpdate, kindCreate, kindAction), "write": asks(kindCreate, kindUpdate),
	"onboard": asks(kindCreate), "sign": asks(kindCreate), "insert": asks(kindCreate), "order": asks(kindCreate), "store": asks(kindCreate),
	"comment": asks(kindCreate), "label": asks(kindCreate), "tag": asks(kindCreate), "fork": asks(kindCreate), "setup": asks(kindCreate),
	"subscribe": {kinds: []kind{kindCreate}, acts: []string{"subscribe"}},

	"charge":  {kinds: []kind{kindCreate, kindAction}, acts: []string{"pay", "finalize", "capture"}},
	"bill":    {kinds: []kind{kindCreate, kindAction}, acts: []string{"pay", "finalize", "send"}},
	"pay":     {kinds: []kind{kindAction, kindCreate}, acts: []string{"pay", "confirm", "capture"}},
	"collect": {kinds: []kind{kindAction, kindCreate}, acts: []string{"pay", "capture", "collect"}},
	"invoice": {kinds: []kind{kindCreate, kindAction}, acts: []string{"finalize", "send"}},
	"refund":  {kinds: []kind{kindCreate, kindAction}, acts: []string{"refund"}},
	"capture": {kinds: []kind{kindAction}, acts: []string{"capture"}}, "confirm": {kinds: []kind{kindAction}, acts: []string{"confirm"}},
	"finalize": {kinds: []kind{kindAction}, acts: []string{"finalize"}}, "void": {kinds: []kind{kindAction}, acts: []string{"void"}},
	"transfer": {kinds: []kind{kindCreate, kindAction}, acts: []string{"transfer"}},

	"send":    {kinds: []kind{kindAction, kindCreate}, acts: []string{"send", "post"}},
	"email":   {kinds: []kind{kindAction, kindCreate}, acts: []string{"send"}},
	"post":    {kinds: []kind{kindCreate, kindAction}, acts: []string{"post", "send"}},
	"publish": {kinds: []kind{kindAction, kindCreate}, acts: []string{"publish", "send", "post"}},
	"notify":  {kinds: []kind{kindCreate, kindAction}, acts: []string{"notify", "send", "post"}},
	"reply":   {kinds: []kind{kindCreate, kindAction}, acts: []string{"reply", "post"}},
	"message": {kinds: []kind{kindCreate, kindAction}, acts: []string{"send", "post"}},
	"invite":  {kinds: []kind{kindAction, kindCreate}, acts: []string{"invite"}},
	"join":    {kinds: []kind{kindAction}, acts: []string{"join"}}, "leave": {kinds: []kind{kindAction}, acts: []string{"leave"}},
	"kick": {kinds: []kind{kindAction, kindDelete}, acts: []string{"kick", "remove"}}, "pin": {kinds: []kind{kindAction, kindCreate}, acts: []string{"pin", "add"}},
	"react": {kinds: []kind{kindCreate, kindAction}, acts: []string{"add"}}, "verify": {kinds: []kind{kindAction}, acts: []string{"verify"}},
	"merge": {kinds: []kind{kindAction}, acts: []string{"merge"}}, "approve": {kinds: []kind{kindAction}, acts: []string{"approve"}},
	"accept": {kinds: []kind{kindAction}, acts: []string{"accept"}}, "reject": {kinds: []kind{kindAction}, acts: []string{"reject"}},
	"resume": {kinds: []kind{kindAction}, acts: []string{"resume"}}, "pause": {kinds: []kind{kindAction}, acts: []string{"pause"}},
	"archive": {kinds: []kind{kindAction, kindDelete}, acts: []string{"archive"}}, "close": {kinds: []kind{kindAction, kindUpdate, kindDelete}, acts: []string{"close"}},

	"update": {kinds: []kind{kindUpdate}, acts: []string{"update"}}, "change": asks(kindUpdate), "edit": asks(kindUpdate), "modify": asks(kindUpdate),
	"rename": {kinds: []kind{kindUpdate, kindAction}, acts: []string{"rename"}}, "assign": asks(kindUpdate, kindAction), "replace": asks(kindUpdate),
	"adjust": asks(kindUpdate), "correct": asks(kindUpdate), "mark": {kinds: []kind{kindAction, kindUpdate}, acts: []string{"mark"}},

	"delete": asks(kindDelete), "remove": asks(kindDelete, kindAction), "cancel": {kinds: []kind{kindDelete, kindAction}, acts: []string{"cancel", "void"}},
	"revoke": {kinds: []kind{kindDelete, kindAction}, acts: []string{"revoke"}}, "erase": asks(kindDelete), "drop": asks(kindDelete), "stop": asks(kindDelete, kindAction),

	"suspend":  {kinds: []kind{kindAction, kindUpdate}, acts: []string{"suspend", "pause", "disable", "stop", "deactivate"}},
	"ban":      {kinds: []kind{kindCreate, kindUpdate, kindAction}, acts: []string{"ban", "block"}},
	"unban":    {kinds: []kind{kindDelete, kindAction}, acts: []string{"unban", "unblock"}},
	"deploy":   {kinds: []kind{kindCreate, kindAction}, acts: []string{"deploy", "publish"}},
	"share":    {kinds: []kind{kindCreate, kindUpdate, kindAction}, acts: []string{"share", "invite"}},
	"restore":  {kinds: []kind{kindAction, kindCreate}, acts: []string{"restore", "undelete", "rollback"}},
	"copy":     {kinds: []kind{kindAction, kindCreate}, acts: []string{"copy", "duplicate", "clone"}},
	"mute":     {kinds: []kind{kindAction, kindCreate}, acts: []string{"mute", "silence"}},
	"lock":     {kinds: []kind{kindAction, kindUpdate, kindCreate}, acts: []string{"lock"}},
	"request":  {kinds: []kind{kindCreate, kindAction}, acts: []string{"request"}},
	"attach":   {kinds: []kind{kindCreate, kindAction}, acts: []string{"attach", "add"}},
	"complete": {kinds: []kind{kindAction, kindUpdate}, acts: []string{"complete", "finish", "close"}}, "authorize": {kinds: []kind{kindAction, kindCreate}, acts: []string{"authorize"}},
	"redeem": {kinds: []kind{kindAction, kindCreate}, acts: []string{"redeem", "consume"}}, "accumulate": {kinds: []kind{kindAction, kindCreate}, acts: []string{"accumulate", "credit"}},
	"block": {kinds: []kind{kindAction, kindCreate}, acts: []string{"block", "ban"}}, "abort": {kinds: []kind{kindAction, kindDelete}, acts: []string{"abort", "cancel", "stop", "terminate"}},
	"snooze": {kinds: []kind{kindAction, kindCreate}, acts: []string{"snooze", "mute"}}, "undelete": {kinds: []kind{kindAction, kindCreate}, acts: []string{"undelete", "restore"}},
	"enable": {kinds: []kind{kindAction, kindUpdate}, acts: []string{"enable", "activate", "resume"}}, "disable": {kinds: []kind{kindAction, kindUpdate}, acts: []string{"disable", "deactivate"}},
	"duplicate": {kinds: []kind{kindAction, kindCreate}, acts: []string{"duplicate", "copy", "clone"}}, "clone": {kinds: []kind{kindAction, kindCreate}, acts: []string{"clone", "copy", "duplicate"}},
	"combine": {kinds: []kind{kindAction}, acts: []string{"merge"}}, "trigger": {kinds: []kind{kindAction, kindCreate}, acts: []string{"trigger", "run", "start", "dispatch"}},
	"dispatch": {kinds: []kind{kindCreate, kindAction}, acts: []string{"dispatch"}}, "run": {kinds: []kind{kindAction, kindCreate}, acts: []string{"run", "start", "trigger"}},
	"move": {kinds: []kind{kindUpdate, kindAction}, acts: []string{"move", "transfer"}}, "login": {kinds: []kind{kindCreate, kindRead}, acts: []string{"login"}},
	"unsubscribe": {kinds: []kind{kindDelete, kindAction}, acts: []string{"unsubscribe"}},
	"decline":     {kinds: []kind{kindAction}, acts: []string{"decline", "reject"}}, "deny": {kinds: []kind{kindAction}, acts: []string{"deny", "reject"}},
	"star": {kinds: []kind{kindCreate, kindAction}, acts: []string{"star"}}, "detach": {kinds: []kind{kindAction, kindDelete}, acts: []string{"detach", "remove", "unlink"}},
	"clear": {kinds: []kind{kindAction, kindDelete}, acts: []string{"clear", "purge", "flush"}}, "unpublish": {kinds: []kind{kindAction}, acts: []string{"unpublish"}},
	"end": {kinds: []kind{kindAction, kindDelete}, acts: []string{"end", "stop", "close", "finish"}}, "quote": asks(kindCreate),
	"instantiate": {kinds: []kind{kindAction, kindCreate}, acts: []string{"instantiate"}}, "review": asks(kindCreate, kindRead),
	"provision": asks(kindCreate), "translate": asks(kindUpdate),
	"rollback": {kinds: []kind{kindAction}, acts: []string{"rollback", "restore", "revert"}},
	"save":     asks(kindCreate, kindUpdate), "render": asks(kindRead, kindCreate),

	"get": asks(kindRead, kindList), "read": asks(kindRead, kindList), "show": asks(kindRead, kindList), "fetch": asks(kindRead, kindList),
	"retrieve": asks(kindRead, kindList), "look": asks(kindRead, kindList), "see": asks(kindRead, kindList), "view": asks(kindRead, kindList),
	"check": asks(kindRead, kindList), "load": asks(kindRead, kindList), "know": asks(kindRead, kindFollow), "display": asks(kindRead, kindList),
	"download": asks(kindRead, kindList), "pull": asks(kindList, kindRead), "find": {kinds: []kind{kindList, kindRead}, acts: []string{"find", "lookup"}},
	"search": {kinds: []kind{kindList, kindRead}, acts: []string{"search", "find", "lookup", "query"}},
	"list":   asks(kindList), "browse": asks(kindList), "export": asks(kindList), "count": asks(kindList, kindRead), "report": asks(kindList, kindRead),

	"sync": asks(kindFollow, kindRead, kindList), "synchronise": asks(kindFollow, kindRead, kindList), "synchronize": asks(kindFollow, kindRead, kindList),
	"keep": asks(kindFollow, kindRead), "track": asks(kindFollow, kindRead), "follow": asks(kindFollow, kindRead), "monitor": asks(kindFollow, kindRead),
	"watch": asks(kindFollow, kindRead), "mirror": asks(kindFollow, kindRead, kindList), "react to": asks(kindFollow), "learn": asks(kindFollow, kindRead),
	"reconcile": asks(kindList, kindRead, kindFollow), "receive": asks(kindFollow, kindRead), "hear": asks(kindFollow), "log": asks(kindRead, kindFollow),
})

func stemmed(in map[string]verb) map[string]verb {
	out := map[string]verb{}
	for word, v := range in {
		out[stem(word)] = v
	}
	return out
}

// moves are the actions by which money or a message leaves, or that can't be
// taken back. They are never repeated by machine.
var moves = stemSet(`pay capture confirm refund transfer payout charge send resend reply post publish notify submit finalize void
	reverse settle withdraw deposit email deliver merge broadcast topup forward fund`)

// actions are words that stand at the end of a path for something that is done.
var actions = stemSet(`pay finalize send void capture confirm cancel refund archive unarchive approve reject accept decline close reopen open
	publish unpublish verify resume pause activate deactivate enable disable attach detach merge rename invite kick join leave mark
	apply reverse expire submit release migrate increment decrement reset rotate revoke restore copy clone move lock unlock start stop
	retry resend post add remove suspend duplicate instantiate abort mute unmute trigger undelete rollback ban unban deploy save block unblock assign unassign share email
	resume swap retrieve lookup query set update delete create upload login logout subscribe unsubscribe validate preview export import
	ship return fund reactivate regenerate respond acknowledge transfer topup advance`)

func stemSet(words string) map[string]bool {
	m := map[string]bool{}
	for w := range set(words) {
		m[stem(w)] = true
	}
	return m
}
