package mapping_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/plan"
)

func compile(t *testing.T, rows ...plan.MappingRow) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Compile(map[string][]plan.MappingRow{"t": rows}, "t")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var (
	amountRow   = plan.MappingRow{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency)"}
	currencyRow = plan.MappingRow{External: "currency", Type: "string", Internal: "currency", As: "string"}
	statusRow   = plan.MappingRow{External: "status", Type: "string", Internal: "status", As: "enum", Values: map[string]string{"draft": "DRAFT", "open": "OPEN"}}
)

func with(r plan.MappingRow, change func(*plan.MappingRow)) plan.MappingRow {
	change(&r)
	return r
}

// conversion is one document through one table: a result, or the rule that
// refuses it.
type conversion struct {
	rows []plan.MappingRow
	in   string // given to In …
	out  string // … or to Out
	want string
	rule string
}

func row(external, typ, internal, as string) plan.MappingRow {
	return plan.MappingRow{External: external, Type: typ, Internal: internal, As: as}
}

func one(typ, as string) []plan.MappingRow { return []plan.MappingRow{row("x", typ, "y", as)} }

// R3.2
var conversions = map[string]conversion{
	"money in, exponent notation":        {rows: []plan.MappingRow{amountRow, currencyRow}, in: `{"amount":1.99e3,"currency":"usd"}`, want: `{"amount":"19.90","currency":"usd"}`},
	"money in, beyond float":             {rows: []plan.MappingRow{amountRow, currencyRow}, in: `{"amount":9007199254740993,"currency":"USD"}`, want: `{"amount":"90071992547409.93","currency":"USD"}`},
	"money out, beyond float":            {rows: []plan.MappingRow{amountRow, currencyRow}, out: `{"amount":"90071992547409.93","currency":"USD"}`, want: `{"amount":9007199254740993,"currency":"USD"}`},
	"money in, four places":              {rows: []plan.MappingRow{amountRow}, in: `{"amount":1,"currency":"CLF"}`, want: `{"amount":"0.0001"}`},
	"money in, negative zero":            {rows: []plan.MappingRow{amountRow}, in: `{"amount":-0,"currency":"usd"}`, want: `{"amount":"0.00"}`},
	"money in, minus and zeros":          {rows: []plan.MappingRow{amountRow}, in: `{"amount":-100,"currency":"usd"}`, want: `{"amount":"-1.00"}`},
	"money in, zero without currency":    {rows: []plan.MappingRow{amountRow}, in: `{"amount":0,"currency":null}`, want: `{"amount":"0"}`},
	"money out, zero without currency":   {rows: []plan.MappingRow{amountRow}, out: `{"amount":"0.00"}`, want: `{"amount":0}`},
	"money in, no currency":              {rows: []plan.MappingRow{amountRow}, in: `{"amount":1}`, rule: "currency"},
	"money in, unknown currency":         {rows: []plan.MappingRow{amountRow}, in: `{"amount":1,"currency":"xau"}`, rule: "currency"},
	"money in, currency is no string":    {rows: []plan.MappingRow{amountRow}, in: `{"amount":1,"currency":5}`, rule: "currency"},
	"money in, a null needs no currency": {rows: []plan.MappingRow{amountRow}, in: `{"amount":null}`, want: `{"amount":null}`},
	"money in, fraction of a cent":       {rows: []plan.MappingRow{amountRow}, in: `{"amount":1990.5,"currency":"usd"}`, rule: "money"},
	"money in, a string":                 {rows: []plan.MappingRow{amountRow}, in: `{"amount":"1990","currency":"usd"}`, rule: "type"},
	"money in, string typed":             {rows: []plan.MappingRow{with(amountRow, func(r *plan.MappingRow) { r.Type = "string" })}, in: `{"amount":"1990","currency":"usd"}`, want: `{"amount":"19.90"}`},
	"money out, string typed":            {rows: []plan.MappingRow{with(amountRow, func(r *plan.MappingRow) { r.Type = "string" })}, out: `{"amount":"19.9","currency":"usd"}`, want: `{"amount":"1990"}`},
	"money out, never rounded":           {rows: []plan.MappingRow{amountRow, currencyRow}, out: `{"amount":"19.905","currency":"USD"}`, rule: "money"},
	"money out, never rounded in yen":    {rows: []plan.MappingRow{amountRow, currencyRow}, out: `{"amount":"19.9","currency":"JPY"}`, rule: "money"},
	"money out, more zeros":              {rows: []plan.MappingRow{amountRow}, out: `{"amount":"19.9000","currency":"USD"}`, want: `{"amount":1990}`},
	"money out, fewer digits":            {rows: []plan.MappingRow{amountRow}, out: `{"amount":"19","currency":"USD"}`, want: `{"amount":1900}`},
	"money out, small":                   {rows: []plan.MappingRow{amountRow}, out: `{"amount":"-0.05","currency":"USD"}`, want: `{"amount":-5}`},
	"money out, a number":                {rows: []plan.MappingRow{amountRow}, out: `{"amount":19.90,"currency":"USD"}`, want: `{"amount":1990}`},
	"money out, exponent":                {rows: []plan.MappingRow{amountRow}, out: `{"amount":"1.99E1","currency":"USD"}`, want: `{"amount":1990}`},
	"money out, no currency":             {rows: []plan.MappingRow{amountRow}, out: `{"amount":"1"}`, rule: "currency"},
	"money out, currency by its row":     {rows: []plan.MappingRow{amountRow, row("currency", "string", "iso", "string")}, out: `{"amount":"1.5","iso":"eur"}`, want: `{"amount":150,"currency":"eur"}`},
	"money out, currency by an enum":     {rows: []plan.MappingRow{amountRow, {External: "currency", Internal: "cur", As: "enum", Values: map[string]string{"usd": "DOLLAR", "jpy": "YEN"}}}, out: `{"amount":"150","cur":"YEN"}`, want: `{"amount":150,"currency":"jpy"}`},
	"money out, beside ours, nested":     {rows: []plan.MappingRow{{External: "p.a", Internal: "q.r.b", As: "decimal", Transform: "money(cur)"}}, out: `{"q":{"r":{"b":"1","cur":"kwd"}}}`, want: `{"p":{"a":1000}}`},
	"money in, currency from the top":    {rows: []plan.MappingRow{{External: "p.a", Internal: "b", As: "decimal", Transform: "money(o.cur)"}}, in: `{"p":{"a":1},"o":{"cur":"kwd"}}`, want: `{"b":"0.001"}`},
	"money in, Stripe's króna":           {rows: []plan.MappingRow{with(amountRow, func(r *plan.MappingRow) { r.Transform = "money(currency,ISK=2,UGX=2)" })}, in: `{"amount":500,"currency":"isk"}`, want: `{"amount":"5.00"}`},
	"money in, the standard's króna":     {rows: []plan.MappingRow{amountRow}, in: `{"amount":500,"currency":"isk"}`, want: `{"amount":"500"}`},

	"decimal, exponent plus":     {rows: one("number", "decimal"), in: `{"x":1.5e+3}`, want: `{"y":"1500"}`},
	"decimal, exponent minus":    {rows: one("number", "decimal"), in: `{"x":15E-3}`, want: `{"y":"0.015"}`},
	"decimal, zeros are kept":    {rows: one("number", "decimal"), in: `{"x":1.50}`, want: `{"y":"1.50"}`},
	"decimal, huge exponent":     {rows: one("number", "decimal"), in: `{"x":1e999999999999}`, rule: "number"},
	"decimal, tiny exponent":     {rows: one("number", "decimal"), in: `{"x":1e-999999999999}`, rule: "number"},
	"decimal, zero any exponent": {rows: one("number", "decimal"), in: `{"x":0e99999}`, want: `{"y":"0"}`},
	"decimal, too many digits":   {rows: one("number", "decimal"), in: `{"x":` + strings.Repeat("9", 129) + `}`, rule: "number"},
	"decimal, many digits":       {rows: one("number", "decimal"), in: `{"x":` + strings.Repeat("9", 128) + `}`, want: `{"y":"` + strings.Repeat("9", 128) + `"}`},
	"decimal, padded string":     {rows: one("string", "decimal"), in: `{"x":" 1"}`, rule: "number"},
	"decimal, plus sign":         {rows: one("string", "decimal"), in: `{"x":"+1"}`, rule: "number"},
	"decimal, leading zero":      {rows: one("string", "decimal"), in: `{"x":"01"}`, rule: "number"},
	"decimal, not a number":      {rows: one("string", "decimal"), in: `{"x":"NaN"}`, rule: "number"},
	"decimal, empty":             {rows: one("string", "decimal"), in: `{"x":""}`, rule: "number"},
	"decimal, grouping":          {rows: one("string", "decimal"), in: `{"x":"1,000"}`, rule: "number"},
	"decimal, escaped digits":    {rows: one("string", "decimal"), in: `{"x":"\u0031.5"}`, want: `{"y":"1.5"}`},
	"decimal out to integer":     {rows: one("integer", "decimal"), out: `{"y":"19.00"}`, want: `{"x":19}`},
	"decimal out, not whole":     {rows: one("integer", "decimal"), out: `{"y":"19.01"}`, rule: "integer"},
	"integer, fraction":          {rows: one("integer", "integer"), in: `{"x":1.5}`, rule: "integer"},
	"integer, whole fraction":    {rows: one("number", "integer"), in: `{"x":2.0}`, want: `{"y":2}`},
	"integer, a string":          {rows: one("integer", "integer"), in: `{"x":"1"}`, rule: "type"},
	"integer out to string":      {rows: one("string", "integer"), out: `{"y":7}`, want: `{"x":"7"}`},
	"string of a number":         {rows: one("integer", "string"), in: `{"x":7}`, want: `{"y":"7"}`},
	"string to a number":         {rows: one("integer", "string"), out: `{"y":"7"}`, want: `{"x":7}`},
	"string to no number":        {rows: one("integer", "string"), out: `{"y":"seven"}`, rule: "number"},
	"string of a boolean":        {rows: one("boolean", "string"), in: `{"x":true}`, want: `{"y":"true"}`},
	"string, escapes kept":       {rows: one("string", "string"), in: `{"x":"a\n\u00e9\"😀"}`, want: `{"y":"a\n\u00e9\"😀"}`},
	"string, a number":           {rows: one("string", "string"), in: `{"x":1}`, rule: "type"},
	"boolean, neither":           {rows: one("string", "boolean"), in: `{"x":"yes"}`, rule: "boolean"},
	"boolean, two":               {rows: one("integer", "boolean"), in: `{"x":2}`, rule: "boolean"},
	"boolean, a string":          {rows: one("boolean", "boolean"), in: `{"x":"true"}`, rule: "type"},

	"time before 1970":              {rows: one("unix", "datetime"), in: `{"x":-1}`, want: `{"y":"1969-12-31T23:59:59Z"}`},
	"time, last second":             {rows: one("unix", "datetime"), in: `{"x":253402300799}`, want: `{"y":"9999-12-31T23:59:59Z"}`},
	"time in milliseconds":          {rows: one("unix", "datetime"), in: `{"x":1760000000000}`, rule: "datetime"},
	"time beyond int64":             {rows: one("unix", "datetime"), in: `{"x":99999999999999999999}`, rule: "datetime"},
	"time with fraction":            {rows: one("unix", "datetime"), in: `{"x":1.5}`, rule: "datetime"},
	"time as string":                {rows: one("unix", "datetime"), in: `{"x":"1760000000"}`, rule: "type"},
	"time out, offset":              {rows: one("unix", "datetime"), out: `{"y":"2025-10-09T10:53:20+02:00"}`, want: `{"x":1760000000}`},
	"time out, fraction":            {rows: one("unix", "datetime"), out: `{"y":"2025-10-09T08:53:20.5Z"}`, rule: "datetime"},
	"time out, comma":               {rows: one("unix", "datetime"), out: `{"y":"2025-10-09T08:53:20,5Z"}`, rule: "datetime"},
	"time out, hour of one digit":   {rows: one("unix", "datetime"), out: `{"y":"2025-10-09T8:53:20Z"}`, rule: "datetime"},
	"time out, no zone":             {rows: one("unix", "datetime"), out: `{"y":"2025-10-09T08:53:20"}`, rule: "datetime"},
	"time out, no such day":         {rows: one("unix", "datetime"), out: `{"y":"2025-02-30T08:53:20Z"}`, rule: "datetime"},
	"time out, year 10000":          {rows: one("unix", "datetime"), out: `{"y":"9999-12-31T23:59:59-01:00"}`, rule: "datetime"},
	"time, RFC 3339 brought to UTC": {rows: one("string", "datetime"), in: `{"x":"2025-10-09T10:53:20.120+02:00"}`, want: `{"y":"2025-10-09T08:53:20.12Z"}`},

	"uuid, too short":      {rows: one("string", "uuid"), in: `{"x":"123e4567"}`, rule: "uuid"},
	"uuid, wrong dash":     {rows: one("string", "uuid"), in: `{"x":"123e4567-e89b-12d3-a456_426614174000"}`, rule: "uuid"},
	"uuid, no hex":         {rows: one("string", "uuid"), in: `{"x":"g23e4567-e89b-12d3-a456-426614174000"}`, rule: "uuid"},
	"uuid out":             {rows: one("string", "uuid"), out: `{"y":"123E4567-E89B-12D3-A456-426614174000"}`, want: `{"x":"123e4567-e89b-12d3-a456-426614174000"}`},
	"json, wrong kind":     {rows: one("object", "json"), in: `{"x":[1]}`, rule: "type"},
	"json, anything":       {rows: one("", "json"), in: `{"x": [1, {"a":null}] }`, want: `{"y":[1, {"a":null}]}`},
	"enum of integers":     {rows: []plan.MappingRow{{External: "x", Type: "integer", Internal: "y", As: "enum", Values: map[string]string{"1": "ON", "0": "OFF"}}}, in: `{"x":1}`, want: `{"y":"ON"}`},
	"enum of integers out": {rows: []plan.MappingRow{{External: "x", Type: "integer", Internal: "y", As: "enum", Values: map[string]string{"1": "ON", "0": "OFF"}}}, out: `{"y":"OFF"}`, want: `{"x":0}`},
	"enum of booleans out": {rows: []plan.MappingRow{{External: "x", Type: "boolean", Internal: "y", As: "enum", Values: map[string]string{"true": "ON", "false": "OFF"}}}, out: `{"y":"OFF"}`, want: `{"x":false}`},

	"unmapped fields are dropped": {rows: one("string", "string"), in: `{"a":1,"x":"1","b":{"x":"2"},"c":[{"x":"3"}]}`, want: `{"y":"1"}`},
	"deep paths make objects":     {rows: []plan.MappingRow{row("x", "string", "a.b.c", "string"), row("z", "string", "a.d", "string")}, in: `{"x":"1","z":"2"}`, want: `{"a":{"b":{"c":"1"},"d":"2"}}`},
	"empty objects are left out":  {rows: []plan.MappingRow{row("x", "string", "a.b.c", "string"), row("z", "string", "a.d", "string")}, in: `{"z":"2"}`, want: `{"a":{"d":"2"}}`},
	"nothing at all":              {rows: one("string", "string"), in: ` { } `, want: `{}`},
	"parent is null":              {rows: []plan.MappingRow{row("a.b", "string", "y", "string")}, in: `{"a":null}`, want: `{}`},
	"parent is a string":          {rows: []plan.MappingRow{row("a.b", "string", "y", "string")}, in: `{"a":"cus_1"}`, want: `{}`},
	"names with dots":             {rows: []plan.MappingRow{row(`a\.b`, "string", `c\.d`, "string")}, in: `{"a.b":"1","a":{"b":"2"}}`, want: `{"c.d":"1"}`},
	"names with escapes":          {rows: one("string", "string"), in: `{"\u0078":"1"}`, want: `{"y":"1"}`},
	"both a parent and its child": {rows: []plan.MappingRow{row("a", "object", "whole", "json"), row("a.b", "string", "part", "string")}, in: `{"a":{"b":"1"}}`, want: `{"whole":{"b":"1"},"part":"1"}`, rule: "compile"},
	"lists of scalars":            {rows: []plan.MappingRow{row("x[*]", "unix", "y[*]", "datetime")}, in: `{"x":[ 0 , 1 ]}`, want: `{"y":["1970-01-01T00:00:00Z","1970-01-01T00:00:01Z"]}`},
	"lists, empty":                {rows: []plan.MappingRow{row("x[*]", "unix", "y[*]", "datetime")}, in: `{"x":[ ]}`, want: `{"y":[]}`},
	"lists, no list":              {rows: []plan.MappingRow{row("x[*]", "unix", "y[*]", "datetime")}, in: `{"x":{}}`, rule: "type"},
	"lists, a null":               {rows: []plan.MappingRow{row("x[*]", "unix", "y[*]", "datetime")}, in: `{"x":[null,1]}`, want: `{"y":[null,"1970-01-01T00:00:01Z"]}`},
	"lists, nulls left out":       {rows: []plan.MappingRow{with(row("x[*]", "integer", "y[*]", "integer"), func(r *plan.MappingRow) { r.Null = "omit" })}, in: `{"x":[null,1,null,2]}`, want: `{"y":[1,2]}`},
}

// R3.3
var policies = map[string]conversion{
	"missing, default":               {rows: one("string", "string"), in: `{}`, want: `{}`},
	"missing, null":                  {rows: []plan.MappingRow{with(one("string", "uuid")[0], func(r *plan.MappingRow) { r.Missing = "null" })}, in: `{}`, want: `{"y":null}`},
	"missing, fail":                  {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Missing = "fail" })}, in: `{}`, rule: "missing"},
	"missing, fail, not on our side": {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Missing = "fail" })}, out: `{}`, want: `{}`},
	"missing, value":                 {rows: []plan.MappingRow{with(one("integer", "integer")[0], func(r *plan.MappingRow) { r.Missing = "value:5" })}, in: `{}`, want: `{"y":5}`},
	"missing, value of a string":     {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Missing = `value:a"b` })}, in: `{}`, want: `{"y":"a\"b"}`},
	"missing, value of a decimal":    {rows: []plan.MappingRow{with(one("number", "decimal")[0], func(r *plan.MappingRow) { r.Missing = "value:1.50" })}, in: `{}`, want: `{"y":"1.50"}`},
	"missing, out only":              {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Missing, r.Direction = "value:send_invoice", "out" })}, out: `{}`, want: `{"x":"send_invoice"}`},
	"missing, out only, fail":        {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Missing, r.Direction = "fail", "out" })}, out: `{}`, rule: "missing"},
	"null, default":                  {rows: one("string", "string"), in: `{"x":null}`, want: `{"y":null}`},
	"null, default, out":             {rows: one("string", "string"), out: `{"y":null}`, want: `{"x":null}`},
	"null, omit":                     {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Null = "omit" })}, in: `{"x":null}`, want: `{}`},
	"null, fail":                     {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Null = "fail" })}, in: `{"x":null}`, rule: "null"},
	"null is not missing":            {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Missing = "fail" })}, in: `{"x":null}`, want: `{"y":null}`},
	"unknown, default":               {rows: []plan.MappingRow{statusRow}, in: `{"status":"paid"}`, rule: "enum"},
	"unknown, keep":                  {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "keep" })}, in: `{"status":"paid"}`, want: `{"status":"paid"}`},
	"unknown, keep, out":             {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "keep" })}, out: `{"status":"paid"}`, want: `{"status":"paid"}`},
	"unknown, keep, taken":           {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "keep" })}, in: `{"status":"DRAFT"}`, rule: "enum"},
	"unknown, keep, out, taken":      {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "keep" })}, out: `{"status":"draft"}`, rule: "enum"},
	"unknown, null":                  {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "null" })}, in: `{"status":"paid"}`, want: `{"status":null}`},
	"unknown, value":                 {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "value:OTHER" })}, in: `{"status":"paid"}`, want: `{"status":"OTHER"}`},
	"unknown, value has no way out":  {rows: []plan.MappingRow{with(statusRow, func(r *plan.MappingRow) { r.Unknown = "value:OTHER" })}, out: `{"status":"OTHER"}`, rule: "enum"},
	"direction in":                   {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Direction = "in" })}, out: `{"y":"1"}`, want: `{}`},
	"direction out":                  {rows: []plan.MappingRow{with(one("string", "string")[0], func(r *plan.MappingRow) { r.Direction = "out" })}, in: `{"x":"1"}`, want: `{}`},
}

// What is no document at all.
var documents = map[string]conversion{
	"empty":                {rows: one("string", "string"), in: ` `, rule: "json"},
	"a list":               {rows: one("string", "string"), in: `[]`, rule: "object"},
	"a string":             {rows: one("string", "string"), in: `"x"`, rule: "object"},
	"cut off":              {rows: one("string", "string"), in: `{"x":"1"`, rule: "json"},
	"cut off in a string":  {rows: one("string", "string"), in: `{"x":"1`, rule: "json"},
	"cut off in an escape": {rows: one("string", "string"), in: `{"x":"\u00`, rule: "json"},
	"trailing comma":       {rows: one("string", "string"), in: `{"x":"1",}`, rule: "json"},
	"second document":      {rows: one("string", "string"), in: `{"x":"1"}{}`, rule: "json"},
	"invalid where unread": {rows: one("string", "string"), in: `{"x":"1","a":[1,]}`, rule: "json"},
	"bad number":           {rows: one("string", "string"), in: `{"x":"1","a":01}`, rule: "json"},
	"bad word":             {rows: one("string", "string"), in: `{"x":"1","a":nul}`, rule: "json"},
	"bad escape":           {rows: one("string", "string"), in: `{"x":"\x"}`, rule: "json"},
	"control character":    {rows: one("string", "string"), in: "{\"x\":\"a\nb\"}", rule: "json"},
	"bad UTF-8":            {rows: one("string", "string"), in: "{\"x\":\"\xff\"}", rule: "utf-8"},
	"too deep":             {rows: one("string", "string"), in: `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, rule: "depth"},
	"deep enough":          {rows: one("string", "string"), in: `{"x":"1","a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, want: `{"y":"1"}`},
	"repeated":             {rows: one("string", "string"), in: `{"x":"1","x":"2"}`, rule: "repeated"},
	"repeated in disguise": {rows: one("string", "string"), in: `{"x":"1","\u0078":"2"}`, rule: "repeated"},
	"repeated parent":      {rows: []plan.MappingRow{row("a.b", "string", "y", "string")}, in: `{"a":{},"a":{"b":"1"}}`, rule: "repeated"},
	"repeated but unread":  {rows: one("string", "string"), in: `{"x":"1","z":1,"z":2}`, want: `{"y":"1"}`},
	"too large":            {rows: one("string", "string"), in: `{"x":"` + strings.Repeat("a", mapping.MaxBytes) + `"}`, rule: "size"},
}

func TestConversions(t *testing.T) {
	t.Parallel()
	for _, list := range []map[string]conversion{conversions, policies, documents} {
		for name, c := range list {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c.check(t)
			})
		}
	}
}

func (c conversion) check(t *testing.T) {
	m, err := mapping.Compile(map[string][]plan.MappingRow{"t": c.rows}, "t")
	if c.rule == "compile" {
		if err == nil {
			t.Fatal("it compiles")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	if c.out == "" {
		got, err = m.In([]byte(c.in))
	} else {
		got, err = m.Out([]byte(c.out))
	}
	if c.rule == "" {
		if err != nil || string(got) != c.want {
			t.Fatalf("got %s, %v; want %s", got, err, c.want)
		}
		return
	}
	var e *mapping.Error
	if !errors.As(err, &e) || e.Rule != c.rule || got != nil {
		t.Fatalf("got %.100s, %v; want an error of rule %s", got, err, c.rule)
	}
	if !strings.HasPrefix(e.Row, "mapping.t") {
		t.Errorf("the row is %q", e.Row)
	}
}

// Errors lead to the place in the document and to the row in the plan.
func TestErrorNamesRowAndPlace(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(map[string][]plan.MappingRow{
		"invoice": {{External: "lines.data[*]", Internal: "rows[*]", As: "line"}},
		"line":    {{External: "price.amount", Type: "integer", Internal: "price", As: "decimal", Transform: "money(currency)"}},
	}, "invoice")
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.In([]byte(`{"lines":{"data":[{},{"price":{"amount":1,"currency":"usd"}},{"price":{"amount":"1"}}]}}`))
	var e *mapping.Error
	if !errors.As(err, &e) || e.Row != "mapping.line.price.amount" || e.Pointer != "/lines/data/2/price/amount" || e.Rule != "type" {
		t.Fatalf("%+v", e)
	}
	_, err = m.Out([]byte(`{"rows":[{"price":"1"}]}`))
	if !errors.As(err, &e) || e.Row != "mapping.line.price.amount" || e.Pointer != "/rows/0/price" || e.Rule != "currency" {
		t.Fatalf("%+v", e)
	}
	_, err = m.In([]byte(`{"lines":{"data":[{},7]}}`))
	if !errors.As(err, &e) || e.Pointer != "/lines/data/1" {
		t.Fatalf("%+v", e)
	}
}

// The ids in errors are those of plan.Rows, so that a failure leads to its row.
func TestErrorIDsArePlanRows(t *testing.T) {
	t.Parallel()
	tables := map[string][]plan.MappingRow{"t": {
		{External: "a", Internal: "b", As: "uuid", Direction: "in"}, {External: "a", Internal: "c", As: "uuid", Direction: "out"}, {External: "d.e", Internal: "f", As: "uuid"},
	}}
	known := map[string]bool{}
	for _, r := range (&plan.Plan{Mappings: tables}).Rows() {
		known[r.ID] = true
	}
	m, err := mapping.Compile(tables, "t")
	if err != nil {
		t.Fatal(err)
	}
	var e *mapping.Error
	for _, in := range []string{`{"a":"x"}`, `{"d":{"e":"x"}}`} {
		if _, err := m.In([]byte(in)); !errors.As(err, &e) || !known[e.Row] {
			t.Errorf("%s: %v; want one of %v", in, err, known)
		}
	}
	if _, err := m.Out([]byte(`{"c":"x"}`)); !errors.As(err, &e) || e.Row != "mapping.t.a.out" || !known[e.Row] {
		t.Errorf("%v; want one of %v", err, known)
	}
}

// The example plan's mappings compile and do what they say (R3.1, R3.2).
func TestExamplePlan(t *testing.T) {
	t.Parallel()
	tables := map[string][]plan.MappingRow{"customer": {
		{External: "id", Type: "string", Internal: "stripeCustomerId", As: "string", Direction: "in"},
		{External: "email", Type: "string", Internal: "email", As: "string", Class: "pii"},
		{External: "balance", Type: "integer", Internal: "balance", As: "decimal", Transform: "money(currency)"},
		{External: "created", Type: "unix", Internal: "createdAt", As: "datetime", Direction: "in"},
		{External: "metadata.tenant_id", Type: "string", Internal: "tenantId", As: "uuid", Missing: "null"},
	}}
	m, err := mapping.Compile(tables, "customer")
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.In([]byte(`{"id":"cus_1","email":"jo@example.com","balance":-1990,"currency":"usd","created":1760000000,"metadata":{"color":"red"}}`))
	if want := `{"stripeCustomerId":"cus_1","email":"jo@example.com","balance":"-19.90","createdAt":"2025-10-09T08:53:20Z","tenantId":null}`; err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	got, err = m.Out([]byte(`{"stripeCustomerId":"cus_1","email":"jo@example.com","tenantId":"123e4567-e89b-12d3-a456-426614174000"}`))
	if want := `{"email":"jo@example.com","metadata":{"tenant_id":"123e4567-e89b-12d3-a456-426614174000"}}`; err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

// R2.10, R5.7: what a row calls personal or secret stays out of errors.
func TestErrorsHideClassifiedValues(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	for _, class := range []string{"pii", "secret"} {
		for _, r := range []plan.MappingRow{
			row("x", "string", "y", "uuid"), row("x", "string", "y", "decimal"), row("x", "string", "y", "datetime"), row("x", "string", "y", "boolean"),
			{External: "x", Internal: "y", As: "enum", Values: map[string]string{"a": "A"}},
			{External: "x", Internal: "y", As: "enum", Values: map[string]string{"a": canary}, Unknown: "keep"},
		} {
			r.Class = class
			m := compile(t, r)
			if _, err := m.In([]byte(`{"x":"` + canary + `"}`)); err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v", r.As, err)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows []plan.MappingRow
		rule string
	}{
		"no external path":       {[]plan.MappingRow{row("", "string", "y", "string")}, "path"},
		"empty name":             {[]plan.MappingRow{row("a..b", "string", "y", "string")}, "path"},
		"elements in the middle": {[]plan.MappingRow{row("a[*].b", "string", "y[*]", "string")}, "path"},
		"elements on one side":   {[]plan.MappingRow{row("a[*]", "string", "y", "string")}, "path"},
		"same place in":          {[]plan.MappingRow{row("a", "string", "y", "string"), row("b", "string", "y", "string")}, "path"},
		"place inside another":   {[]plan.MappingRow{row("a", "string", "y.z", "string"), row("b", "string", "y", "string")}, "path"},
		"place around another":   {[]plan.MappingRow{row("a", "string", "y", "string"), row("b", "string", "y.z", "string")}, "path"},
		"same place out":         {[]plan.MappingRow{row("a", "string", "x", "string"), row("a", "string", "y", "string")}, "path"},
		"unknown kind":           {[]plan.MappingRow{row("a", "string", "y", "float")}, "as"},
		"no way":                 {[]plan.MappingRow{row("a", "boolean", "y", "uuid")}, "type"},
		"a table of a string":    {[]plan.MappingRow{row("a", "string", "y", "t2")}, "type"},
		"enum without values":    {[]plan.MappingRow{row("a", "string", "y", "enum")}, "values"},
		"values without enum":    {[]plan.MappingRow{{External: "a", Internal: "y", As: "string", Values: map[string]string{"a": "b"}}}, "values"},
		"enum without way back":  {[]plan.MappingRow{{External: "a", Internal: "y", As: "enum", Values: map[string]string{"a": "X", "b": "X"}}}, "values"},
		"enum of no integers":    {[]plan.MappingRow{{External: "a", Type: "integer", Internal: "y", As: "enum", Values: map[string]string{"01": "X"}}}, "values"},
		"unknown transform":      {[]plan.MappingRow{{External: "a", Internal: "y", As: "decimal", Transform: "cents(currency)"}}, "transform"},
		"money of a time":        {[]plan.MappingRow{{External: "a", Internal: "y", As: "datetime", Transform: "money(currency)"}}, "transform"},
		"direction":              {[]plan.MappingRow{{External: "a", Internal: "y", As: "string", Direction: "inn"}}, "direction"},
		"missing":                {[]plan.MappingRow{{External: "a", Internal: "y", As: "string", Missing: "skip"}}, "missing"},
		"missing value":          {[]plan.MappingRow{{External: "a", Internal: "y", As: "integer", Missing: "value:x"}}, "missing"},
		"missing uuid":           {[]plan.MappingRow{{External: "a", Internal: "y", As: "uuid", Missing: "value:x"}}, "missing"},
		"missing list":           {[]plan.MappingRow{{External: "a[*]", Internal: "y[*]", As: "string", Missing: "value:x"}}, "missing"},
		"null":                   {[]plan.MappingRow{{External: "a", Internal: "y", As: "string", Null: "skip"}}, "null"},
		"unknown":                {[]plan.MappingRow{{External: "a", Internal: "y", As: "enum", Values: map[string]string{"a": "b"}, Unknown: "skip"}}, "unknown"},
		"unknown without enum":   {[]plan.MappingRow{{External: "a", Internal: "y", As: "string", Unknown: "keep"}}, "unknown"},
		"cycle":                  {[]plan.MappingRow{row("a", "object", "y", "t")}, "cycle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := mapping.Compile(map[string][]plan.MappingRow{"t": c.rows, "t2": nil}, "t")
			var e *mapping.Error
			if !errors.As(err, &e) || e.Rule != c.rule || m != nil {
				t.Fatalf("Compile: %v; want an error of rule %s", err, c.rule)
			}
		})
	}
}

// Every mistake is reported in one run.
func TestCompileReportsAll(t *testing.T) {
	t.Parallel()
	_, err := mapping.Compile(map[string][]plan.MappingRow{
		"t":  {row("a..b", "string", "y", "string"), row("c", "string", "d", "float"), row("e", "object", "f", "t2")},
		"t2": {row("g", "boolean", "h", "uuid")},
	}, "t")
	for _, want := range []string{"mapping.t.a..b", "mapping.t.c:", "mapping.t2.g:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nmisses %s", err, want)
		}
	}
	if _, err := mapping.Compile(nil, "t"); err == nil {
		t.Error("a table that does not exist compiles")
	}
}

// An enum that only comes in may join values.
func TestEnumInMayJoin(t *testing.T) {
	t.Parallel()
	m := compile(t, plan.MappingRow{External: "s", Internal: "s", As: "enum", Direction: "in", Values: map[string]string{"void": "CLOSED", "paid": "CLOSED"}})
	got, err := m.In([]byte(`{"s":"void"}`))
	if err != nil || string(got) != `{"s":"CLOSED"}` {
		t.Fatal(string(got), err)
	}
}

func TestMappingIsSafeForManyGoroutines(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(chargeTable, "charge")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got, err := m.In([]byte(chargeEvent)); err != nil || string(got) != chargeMapped {
					t.Error(string(got), err)
				}
			}
		})
	}
	wg.Wait()
}

// More fields than fit the fixed space, and more names than one object may have.
func TestManyFields(t *testing.T) {
	t.Parallel()
	var rows []plan.MappingRow
	var in, want strings.Builder
	for i := range 257 {
		name := "f" + strings.Repeat("x", i)
		rows = append(rows, row(name, "string", name, "string"))
		if i < 256 {
			in.WriteString(`,"` + name + `":"v"`)
		}
	}
	want.WriteString("{" + in.String()[1:] + "}")
	got, err := compile(t, rows[:256]...).In([]byte(want.String()))
	if err != nil || string(got) != want.String() {
		t.Fatal(err)
	}
	if _, err := mapping.Compile(map[string][]plan.MappingRow{"t": rows}, "t"); err == nil {
		t.Fatal("257 names of one object compile")
	}
}
