// Command importall imports every API document of a folder and prints what came
// of it, as a table in Markdown: operations, schemas, event types, defects, time
// and memory. Each document is read by a process of its own, so that the memory
// is its own as well.
//
//	go run ./openapi/internal/importall DIR
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/openapi"
)

// figures are what one document gave.
type figures struct {
	Format     string
	Operations int
	Schemas    int
	Events     int
	Defects    map[string]int // by rule
	Files      int            // besides the document itself
	Took       time.Duration
	Memory     uint64 // bytes that the process took of the system, at most
	Error      string
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "-one" {
		_ = json.NewEncoder(os.Stdout).Encode(measure(os.Args[2]))
		return
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "importall: name one folder: importall DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "importall:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := documents(dir)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no file ends in .json, .yaml, .yml, .gz or .tar", dir)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Println("| document | format | MB kept | files | operations | schemas | events | defects | ms | MB memory |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |")
	for _, file := range files {
		out, err := exec.CommandContext(context.Background(), self, "-one", file).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		var f figures
		if err := json.Unmarshal(out, &f); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			name = file
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		fmt.Println(row(filepath.ToSlash(name), float64(info.Size())/1e6, f))
	}
	return nil
}

func row(name string, size float64, f figures) string {
	if f.Error != "" {
		return fmt.Sprintf("| %s | %s | %.1f | | | | | | %d | %d |", name, strings.TrimPrefix(f.Error, "openapi: "), size, f.Took.Milliseconds(), f.Memory>>20)
	}
	var defects []string
	for _, rule := range slices.Sorted(maps.Keys(f.Defects)) {
		defects = append(defects, fmt.Sprintf("%s %d", rule, f.Defects[rule]))
	}
	return fmt.Sprintf("| %s | %s | %.1f | %d | %d | %d | %d | %s | %d | %d |",
		name, f.Format, size, 1+f.Files, f.Operations, f.Schemas, f.Events, strings.Join(defects, ", "), f.Took.Milliseconds(), f.Memory>>20)
}

// documents are the files below dir that may be one, in order.
func documents(dir string) ([]string, error) {
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains([]string{".json", ".yaml", ".yml", ".gz", ".tar"}, filepath.Ext(path)) {
			list = append(list, path)
		}
		return err
	})
	slices.Sort(list)
	return list, err
}

func measure(file string) figures {
	start := time.Now()
	d, err := openapi.ReadFile(file)
	f := figures{Took: time.Since(start)}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.Memory = m.Sys
	if err != nil {
		f.Error = err.Error()
		if inner := errors.Unwrap(err); inner != nil && len(f.Error) > 200 {
			f.Error = inner.Error()
		}
		return f
	}
	f.Format, f.Operations, f.Schemas, f.Events, f.Files = d.Format, len(d.Operations), len(d.SchemaNames()), len(d.EventTypes), len(d.Files)
	f.Defects = map[string]int{}
	for _, defect := range d.Defects {
		f.Defects[defect.Rule]++
	}
	return f
}
