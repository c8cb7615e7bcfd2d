// Command picture draws what a program prints at a terminal as an SVG: README's
// picture of the demo is made with it.
//
//	CLICOLOR_FORCE=1 bin/sallyport demo --for 6s | go run ./test/picture "sallyport demo" > docs/pictures/demo.svg
package main

import (
	"bufio"
	"fmt"
	"html"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	lineHeight = 17
	charWidth  = 7.8
	margin     = 18
	titleBar   = 34
)

// The sixteen colours of a terminal on a dark ground.
var colours = map[int]string{
	1: "#ff7b72", 2: "#56d364", 3: "#e3b341", 4: "#79c0ff", 5: "#d2a8ff", 6: "#76e3ea", 13: "#f0b6ff",
}

var escape = regexp.MustCompile("\x1b\\[([0-9;]*)m")

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: picture TITLE < OUTPUT > FILE")
		os.Exit(2)
	}
	var lines []string
	widest := 0
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		line := strings.TrimRight(in.Text(), " ")
		lines = append(lines, line)
		widest = max(widest, utf8.RuneCountInString(escape.ReplaceAllString(line, "")))
	}
	width := int(float64(widest)*charWidth) + 2*margin
	height := titleBar + len(lines)*lineHeight + margin
	fmt.Printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="%[3]s">`+"\n", width, height, html.EscapeString(os.Args[1]))
	fmt.Println(`<rect width="100%" height="100%" rx="8" fill="#0d1117"/>`)
	for i, c := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Printf(`<circle cx="%d" cy="17" r="5.5" fill="%s"/>`+"\n", margin+i*18, c)
	}
	fmt.Printf(`<text x="50%%" y="21" text-anchor="middle" fill="#8b949e" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12">%s</text>`+"\n", html.EscapeString(os.Args[1]))
	fmt.Println(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="13" fill="#e6edf3" xml:space="preserve">`)
	for i, line := range lines {
		fmt.Printf(`<text x="%d" y="%d">%s</text>`+"\n", margin, titleBar+(i+1)*lineHeight-4, spans(line))
	}
	fmt.Println("</g>\n</svg>")
}

// spans turns a line with SGR escapes (ECMA-48) into tspans; each is placed by
// its column, so that fonts of another width don't shift the rest.
func spans(line string) string {
	var b strings.Builder
	style, column := "", 0
	write := func(text string) {
		if text == "" {
			return
		}
		fmt.Fprintf(&b, `<tspan x="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</tspan>`,
			margin+float64(column)*charWidth, float64(utf8.RuneCountInString(text))*charWidth, style, strings.ReplaceAll(html.EscapeString(text), " ", "&#160;")) // spaces would be folded
		column += utf8.RuneCountInString(text)
	}
	at := 0
	for _, m := range escape.FindAllStringSubmatchIndex(line, -1) {
		write(line[at:m[0]])
		style = styleOf(line[m[2]:m[3]])
		at = m[1]
	}
	write(line[at:])
	return b.String()
}

func styleOf(codes string) string {
	var b strings.Builder
	for code := range strings.SplitSeq(codes, ";") {
		n, err := strconv.Atoi(code)
		switch {
		case err != nil:
		case n == 1:
			b.WriteString(` font-weight="bold"`)
		case n == 2:
			b.WriteString(` fill="#8b949e"`)
		case n >= 30 && n <= 37:
			fmt.Fprintf(&b, ` fill="%s"`, colours[n-30])
		case n >= 90 && n <= 97:
			fmt.Fprintf(&b, ` fill="%s"`, colours[n-90+8])
		}
	}
	return b.String()
}
