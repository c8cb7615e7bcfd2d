package openapi

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const githubFile = "../test/peer/testdata/api.github.com.json.gz"

// documents are all that are in the tree, with what is in them. Defects are
// rules with their number.
var documents = []struct {
	file, format                        string
	operations, schemas, events, others int
	defects                             string
}{
	{stripeFile, "openapi 3.0.0", 594, 1454, 265, 0, ""},
	{githubFile, "openapi 3.0.3", 1223, 969, 76, 0, "missing-security 1"},
	{"testdata/adyen-checkout-v71.json.gz", "openapi 3.1.0", 28, 250, 0, 0, ""},
	{"testdata/adyen-webhooks-v1.json.gz", "openapi 3.1.0", 0, 115, 48, 0, "missing-server 1"},
	{"testdata/algolia-search.yml.gz", "openapi 3.0.2", 78, 247, 0, 0, ""},
	{"testdata/asana.yaml.gz", "openapi 3.0.0", 247, 273, 0, 0, ""},
	{"testdata/box.json.gz", "openapi 3.0.2", 296, 305, 43, 0, "path-with-fragment 19"},
	{"testdata/datadog-v1.yaml.gz", "openapi 3.0.0", 235, 1209, 0, 0, ""},
	{"testdata/digitalocean.tar.gz", "openapi 3.0.0", 659, 933, 0, 2848, ""},
	{"testdata/discord.json.gz", "openapi 3.1.0", 242, 539, 0, 0, ""},
	{"testdata/figma.yaml.gz", "openapi 3.1.0", 47, 223, 6, 0, ""},
	{"testdata/intercom-2.14.yaml.gz", "openapi 3.0.1", 150, 230, 0, 0, "missing-operation-id 4"},
	{"testdata/netlify.yml.gz", "swagger 2.0", 174, 100, 0, 0, ""},
	{"testdata/paypal-checkout-orders-v2.json.gz", "openapi 3.0.3", 8, 210, 0, 0, ""},
	{"testdata/petstore.yaml", "openapi 3.0.4", 19, 6, 0, 0, ""},
	{"testdata/resend.yaml", "openapi 3.1.2", 104, 185, 17, 0, ""},
	{"testdata/slack_web_openapi_v2.json.gz", "swagger 2.0", 174, 48, 0, 0, ""},
	{"testdata/snowflake/warehouse.yaml", "openapi 3.0.0", 15, 9, 0, 1, ""},
	{"testdata/square.json.gz", "openapi 3.0.0", 316, 1401, 146, 0, "unresolved-ref 1"},
	{"testdata/twilio-api-v2010.json.gz", "openapi 3.0.1", 197, 148, 0, 0, ""},
	{"testdata/twilio-messaging-v1.json.gz", "openapi 3.0.1", 58, 40, 0, 0, ""},
	{"testdata/twilio-oauth-v2.json.gz", "openapi 3.0.1", 2, 17, 0, 0, ""},
	{"testdata/xero-accounting.yaml.gz", "openapi 3.0.0", 235, 140, 0, 0, ""},
	{"testdata/xero-identity.yaml.gz", "openapi 3.0.0", 2, 3, 0, 0, ""},
}

// R1.4: every document imports, whole, with its defects.
func TestEveryDocument(t *testing.T) {
	t.Parallel()
	for _, c := range documents {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			t.Parallel()
			d, err := ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			counts := map[string]int{}
			for _, f := range d.Defects {
				counts[f.Rule]++
			}
			var defects []string
			for _, rule := range slices.Sorted(maps.Keys(counts)) {
				defects = append(defects, fmt.Sprintf("%s %d", rule, counts[rule]))
			}
			got := fmt.Sprint(d.Format, len(d.Operations), len(d.SchemaNames()), len(d.EventTypes), len(d.Files), defects)
			if want := fmt.Sprint(c.format, c.operations, c.schemas, c.events, c.others, slices.DeleteFunc([]string{c.defects}, func(s string) bool { return s == "" })); got != want {
				t.Errorf("got %s, want %s; %v", got, want, d.Defects)
			}
			whole(t, d)
			for _, op := range d.Operations {
				if len(op.Responses) == 0 {
					t.Errorf("%s has no answers", op.Call())
				}
			}
		})
	}
}

// The list above must not go stale.
func TestNoDocumentIsForgotten(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		known := false
		for _, c := range documents {
			known = known || strings.HasPrefix(c.file, file)
		}
		if file != "testdata/SOURCE.md" && file != "testdata/fuzz" && !known {
			t.Errorf("%s is not among the documents", file)
		}
	}
}

// whole goes through everything a document offers, as its readers do.
func whole(t testing.TB, d *Document) {
	t.Helper()
	var walk func(s *Schema, depth int)
	walk = func(s *Schema, depth int) {
		if s == nil || depth > 4 {
			return
		}
		s = d.Resolve(s)
		if s == nil || s.Ref != "" {
			t.Fatal("a schema leads to none")
		}
		for _, p := range s.Properties[:min(len(s.Properties), 20)] {
			walk(p.Schema, depth+1)
		}
		walk(s.Items, depth+1)
	}
	for _, op := range d.Operations {
		if op.Method == "" || !strings.HasPrefix(op.Path, "/") || op.ID == "" {
			t.Fatalf("an operation lacks what it is found by: %+v", op)
		}
		if op.Request != nil {
			walk(op.Request.Schema, 3)
		}
		for _, r := range op.Responses {
			if r != nil {
				walk(r.Schema, 3)
			}
		}
	}
	names := d.SchemaNames()
	for _, name := range names[:min(len(names), 3000)] {
		s := d.Schema(name)
		if s == nil {
			t.Fatalf("the schema %q is listed and not there", name)
		}
		walk(s, 3)
	}
	for _, f := range d.Defects {
		if f.Where == "" || f.Rule == "" || f.Message == "" {
			t.Fatalf("a defect says nothing: %+v", f)
		}
	}
	if len(d.Defects) > enough+1 {
		t.Fatalf("%d defects are listed", len(d.Defects))
	}
}

// scraps are what damage puts in: what JSON and YAML trip over.
var scraps = []string{
	"{", "}", "[", "]", `"`, ":", ",", "\n", "\x00", "\xff\xfe", "\xc3", "1e999999", "-", "null", "true", `""`, "\\", "\\u0000", "\\ud800", `"$ref"`, `{"$ref":"#/"}`,
	`{"$ref":"#/paths"}`, "&a", "*a", "<<", "!!binary", "!!bool x", "!!float .nan", "? ", "- ", "  ", "\t", "|", ">", "%", "@", "`", "#", "...", "---", "\u2028", "\U0010ffff", "99999999999999999999",
}

// kinds are values of every kind.
var kinds = []string{
	"null", "true", "0", "-1", "1e999999", "123456789012345678901234567890", `""`, `"x"`, `"#/paths"`, "[]", "{}", "[[]]", `[null,1,"a",{}]`, `{"":{}}`, `{"$ref":"#/nowhere"}`, `{"$ref":1}`,
	`{"$ref":"#/components/schemas"}`, `{"type":["null","string",1]}`, `{"allOf":[{"$ref":"#"}]}`, `"\u0000"`, `"\ud800"`, `{"a":1,"a":2}`,
}

// damaged changes a document a few times: cuts out, repeats, swaps, puts in.
func damaged(data []byte, dice *rand.Rand) []byte {
	out := slices.Clone(data)
	kind := 8 * dice.IntN(2) // half of the documents stay well-formed
	for range 1 + dice.IntN(6) {
		if len(out) == 0 {
			break
		}
		at := dice.IntN(len(out))
		end := min(len(out), at+1+dice.IntN(1+min(len(out), 400)))
		switch kind + dice.IntN(8) {
		case 0:
			out = slices.Delete(out, at, end)
		case 1:
			out = slices.Insert(out, at, []byte(scraps[dice.IntN(len(scraps))])...)
		case 2:
			out = slices.Replace(out, at, min(end, at+20), []byte(scraps[dice.IntN(len(scraps))])...)
		case 3:
			out = slices.Insert(out, end, slices.Clone(out[at:end])...)
		case 4:
			out[at] ^= byte(1 << dice.IntN(8))
		case 5:
			if dice.IntN(4) == 0 {
				out = out[:at]
			}
		default: // a value of another kind, the rest being whole
			colon := bytes.Index(out[at:], []byte(`":`))
			if colon < 0 {
				continue
			}
			begin := at + colon + 2
			old := gjson.ParseBytes(out[begin:]).Raw
			if end := begin + bytes.Index(out[begin:], []byte(old)) + len(old); old != "" && end <= len(out) {
				out = slices.Replace(out, begin, end, []byte(kinds[dice.IntN(len(kinds))])...)
			}
		}
	}
	return out
}

// excerpt is a document cut small: everything that is short, and the first
// paths, schemas and events. 500 tries are many for 13 MB.
func excerpt(t *testing.T, data []byte) []byte {
	t.Helper()
	if len(data) < 30<<10 {
		return data
	}
	raw, _, err := toJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	first(&out, gjson.ParseBytes(raw.data), 12<<10)
	if data[0] != '{' {
		return []byte("---\n" + strings.ReplaceAll(out.String(), `":`, `": `)) // YAML in its flow style
	}
	return []byte(out.String())
}

// first writes as many members of an object as fit. One that is too long is
// shortened likewise.
func first(out *strings.Builder, of gjson.Result, room int) {
	out.WriteByte('{')
	written := 0
	of.ForEach(func(name, value gjson.Result) bool {
		if value.IsArray() && len(value.Raw) > room || room <= 0 {
			return true
		}
		if written++; written > 1 {
			out.WriteByte(',')
		}
		before := out.Len()
		out.WriteString(name.Raw + ":")
		if value.IsObject() && len(value.Raw) > room/4 {
			first(out, value, room/2)
		} else {
			out.WriteString(value.Raw)
		}
		room -= out.Len() - before
		return true
	})
	out.WriteByte('}')
}

// R1.4: no damage to a real document makes the import crash, hang, or give a
// document that its readers trip over.
func TestDamagedDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range documents {
		if strings.HasSuffix(c.file, ".tar.gz") {
			continue
		}
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			t.Parallel()
			packed, err := os.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			data, err := unpack(packed)
			if err != nil {
				t.Fatal(err)
			}
			data = excerpt(t, data)
			dice := rand.New(rand.NewPCG(1, uint64(len(data))))
			start, imported := time.Now(), 0
			for i := range 500 {
				broken := damaged(data, dice)
				d, err := Read(broken)
				if err == nil {
					imported++
					whole(t, d)
				} else if !strings.HasPrefix(err.Error(), "openapi: ") {
					t.Fatalf("try %d: %v", i, err)
				}
			}
			if took := time.Since(start); took > 90*time.Second {
				t.Errorf("500 tries took %s", took)
			}
			if imported < 30 {
				t.Errorf("only %d of 500 import: the damage is too great to try much", imported)
			}
			t.Logf("%d of 500 damaged excerpts of %d bytes still import", imported, len(data))
		})
	}
}

// Whole documents, damaged a few times each.
func TestDamagedWholeDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range documents {
		packed, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := unpack(packed)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 4<<20 {
			continue
		}
		dice := rand.New(rand.NewPCG(2, uint64(len(data))))
		for range min(3, 1+(1<<20)/len(data)) {
			if d, err := Read(damaged(data, dice)); err == nil {
				whole(t, d)
			}
		}
	}
}

// R1.4: the largest document stays within bounds of time and memory; the time is
// for a busy machine with the race detector.
func TestLargestDocumentIsBounded(t *testing.T) { //nolint:paralleltest // it measures memory
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	if _, err := ReadFile(githubFile); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 20*time.Second || allocated > 300 {
		t.Errorf("13 MB took %s and %d MB", took, allocated)
	}
}
