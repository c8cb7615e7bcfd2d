package main

import (
	"bytes"
	"os"
	"testing"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Chdir("../../..")
	files, err := outputs()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("nothing is generated")
	}
	for name, want := range files {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not current; run go generate ./plan", name)
		}
	}
}

func TestOutputsAreTheSameEveryTime(t *testing.T) {
	t.Chdir("../../..")
	first, err := outputs()
	if err != nil {
		t.Fatal(err)
	}
	second, err := outputs()
	if err != nil {
		t.Fatal(err)
	}
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs from run to run", name)
		}
	}
}
