package plan

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/sallyport/sallyport/catalog"
)

// Load reads a plan file. The catalogue function finds the profile the plan
// stands on (catalog.Load is one); when it is nil, Provider stays nil and
// nothing is checked against a profile. Profiles of one's own, in the folder
// catalog beside the plan, come first.
//
// Mistakes in the file are returned as *Errors, all of one run; other errors
// are of the operating system. A plan is returned only without mistakes.
func Load(file string, catalogue func(id string) (*catalog.Profile, error)) (*Plan, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	defer f.Close()
	// One byte more than allowed, so that Parse sees that it is too large.
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if catalogue != nil {
		catalogue = catalog.Beside(filepath.Join(filepath.Dir(file), catalog.OwnFolder), catalogue)
	}
	return Parse(file, data, catalogue)
}

// Parse is Load for a file already read; name is used in error messages and
// becomes the plan's File.
func Parse(name string, data []byte, catalogue func(id string) (*catalog.Profile, error)) (*Plan, error) {
	root, problems := readTree(data)
	if len(problems) > 0 {
		return nil, failed(name, problems)
	}
	p := &Plan{File: name}
	r := &reader{positions: map[string]Position{"": place(root)}, values: map[string]Position{}}
	r.structFrom(root, reflect.ValueOf(p).Elem(), "")
	c := &checker{reader: r, plan: p}
	c.overlay(catalogue)
	c.run()
	if len(r.problems) > 0 {
		return nil, failed(name, r.problems)
	}
	p.positions = r.positions
	return p, nil
}

func failed(name string, problems []Problem) *Errors {
	e := &Errors{File: name, List: problems}
	e.sort()
	return e
}

// Confirmed returns who vouched for a section of the profile; ok is false when
// nobody did. The sections are those of ProfileOverlay.Confirmed.
func (p *Plan) Confirmed(section string) (c Confirmation, ok bool) {
	c, ok = p.Profile.Confirmed[section]
	return c, ok
}

// cloneProfile copies a profile with everything it points to.
func cloneProfile(p *catalog.Profile) *catalog.Profile {
	if p == nil {
		return nil
	}
	return clone(reflect.ValueOf(p)).Interface().(*catalog.Profile)
}

// clone copies plain data: structs, pointers, slices and maps of exported
// fields, which is all a profile is made of.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(clone(v.Elem()))
		return c
	case reflect.Struct:
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		for i := range v.NumField() {
			if c.Field(i).CanSet() {
				c.Field(i).Set(clone(v.Field(i)))
			}
		}
		return c
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			c.Index(i).Set(clone(v.Index(i)))
		}
		return c
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			c.SetMapIndex(it.Key(), clone(it.Value()))
		}
		return c
	}
	return v
}
