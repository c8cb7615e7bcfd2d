// Command recall prints how well operations are chosen for the needs in
// draft/testdata, tuned and held-out needs apart, both wordings apart, and how well
// a plain keyword ranking chooses:
//
//	go run ./draft/internal/recall [-v] [-tuned]
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/draft/internal/needs"
	"github.com/sallyport/sallyport/openapi"
)

func main() {
	folder := flag.String("data", "draft/testdata", "folder of needs.yaml")
	verbose := flag.Bool("v", false, "name what was missed and what was picked, of the needs that rules are tuned on")
	tuned := flag.Bool("tuned", false, "measure only the needs that rules are tuned on")
	flag.Parse()
	set, err := needs.Load(*folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recall:", err)
		os.Exit(1)
	}
	for _, g := range needs.Groups {
		open := g.Part == needs.Tuned || g.Part == needs.Development || g.Part == needs.Tickets
		if !open && *tuned {
			continue
		}
		start := time.Now()
		f := set.Measure(g, choose(*verbose && open))
		fmt.Printf("%s: %s; %.1f ms a need\n", g, f, float64(time.Since(start).Microseconds())/1000/float64(f.Needs))
		if plain := set.Measure(g, needs.Keywords); !*tuned {
			fmt.Printf("%s, by keywords: recall %.2f in the first five, %.2f in the first twenty\n", g, plain.Recall(), plain.ShownRecall())
		}
		if *verbose && open {
			for _, m := range f.Missed {
				fmt.Println("  " + m)
			}
		}
	}
}

func choose(verbose bool) func(*openapi.Document, string) needs.Choice {
	return func(d *openapi.Document, need string) (c needs.Choice) {
		r := draft.Find(d, need)
		for _, o := range r.Candidates {
			c.Shown = append(c.Shown, o.Call)
			if o.Picked {
				c.Picked = append(c.Picked, o.Call)
			}
		}
		if verbose {
			fmt.Printf("  %q -> %q\n", need, c.Picked)
		}
		return c
	}
}
