package main

import (
	"strings"
	"testing"
)

// TestReport: what failed comes whole, and its own complaint comes last; who skipped
// says why; and nothing that failed is taken for passed.
func TestReport(t *testing.T) {
	const said = `{"Action":"output","Package":"p/a","Test":"TestBad","Output":"    a_test.go:7: want 1, got 2\n"}
{"Action":"output","Package":"p/a","Test":"TestBad","Output":"        [INFO] a long log\n"}
{"Action":"fail","Package":"p/a","Test":"TestBad"}
{"Action":"output","Package":"p/a","Test":"TestRoot","Output":"    a_test.go:9: needs root\n"}
{"Action":"skip","Package":"p/a","Test":"TestRoot"}
{"Action":"fail","Package":"p/a","Elapsed":1}
{"Action":"pass","Package":"p/b","Test":"TestGood/part","Elapsed":31}
{"Action":"pass","Package":"p/b","Test":"TestGood","Elapsed":31.5}
{"Action":"pass","Package":"p/b","Elapsed":2}
`
	const want = `FAIL  p/a                             1.0 s
ok    p/b                             2.0 s

the slowest tests:
    31.5 s  p/b TestGood

skipped on this machine:
  TestRoot: needs root

FAIL p/a TestBad
    a_test.go:7: want 1, got 2
        [INFO] a long log

FAIL TestBad
  a_test.go:7: want 1, got 2

2 passed, 1 failed, 1 skipped
`
	got, ok := reported(t, said)
	if ok {
		t.Error("it is said to have passed")
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReportOfWhatRanNoTest: a package that does not build, or dies, is a failure.
func TestReportOfWhatRanNoTest(t *testing.T) {
	for name, said := range map[string]string{
		"build":   "# p/a\np/a/a.go:1: undefined: x\n",
		"package": `{"Action":"fail","Package":"p/a","Elapsed":1}`,
	} {
		if got, ok := reported(t, said); ok {
			t.Errorf("%s: it is said to have passed:\n%s", name, got)
		}
	}
	if got, ok := reported(t, `{"Action":"pass","Package":"p/a"}`); !ok {
		t.Errorf("what passed is said to have failed:\n%s", got)
	}
}

func reported(t *testing.T, said string) (string, bool) {
	t.Helper()
	r := newReport()
	if err := r.read(strings.NewReader(said)); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	ok := r.print(&out)
	return out.String(), ok
}
