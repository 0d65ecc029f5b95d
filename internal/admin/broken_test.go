package admin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// TestWhatIsBlamed holds that a service which fails wherever it runs, while others there
// are well, is named with its cause, and no region is; and that a region is where all in it
// fail.
func TestWhatIsBlamed(t *testing.T) {
	for name, c := range map[string]struct {
		refuse   []string
		sentence string // begins so
		broken   []string
		failing  []string // regions in the lines of the page
	}{
		"one service everywhere": {
			[]string{"192.0.2.20", "198.51.100.20"}, "db.example.org fails everywhere: connection refused (2 endpoints), since ", []string{"db.example.org"}, nil,
		},
		"one service in its only region": {
			[]string{"203.0.113.30"}, "solo.example.org fails in azure/westeurope, where others are well: connection refused (1 endpoint), since ", []string{"solo.example.org"}, nil,
		},
		"a region": {[]string{"192.0.2.10", "192.0.2.11", "192.0.2.20", "192.0.2.40"}, "aws/us-east-1 ", nil, []string{"aws/us-east-1"}},
		"a region and a service": {
			[]string{"192.0.2.10", "192.0.2.11", "192.0.2.20", "192.0.2.40", "198.51.100.20"}, "db.example.org fails everywhere: ", []string{"db.example.org"}, []string{"aws/us-east-1"},
		},
		"one endpoint": {[]string{"192.0.2.10"}, "aws/us-east-1 partly failing ", nil, []string{"aws/us-east-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, fleet)
			c2 := client(t, s.listen(t, config.Admin{}))
			s.world.refuse(c.refuse...)
			beat := time.NewTicker(20 * time.Millisecond)
			defer beat.Stop()
			var st *Status
			var broken []string
			for range 500 { // all are seen to fail in a tenth of a second
				var err error
				if st, err = c2.Status(t.Context()); err != nil {
					t.Fatal(err)
				}
				broken = nil
				for _, b := range st.Broken {
					broken = append(broken, b.Service)
				}
				if st.Checks.Down >= len(c.refuse) && strings.Contains(st.Sentence, c.sentence) && slices.Equal(broken, c.broken) {
					break
				}
				<-beat.C
			}
			text := strings.Join(append(st.alsoLines(), st.Sentence), "\n")
			var failing []string
			for _, r := range st.Regions {
				if strings.Contains(text, r.Name+" FAILING") || strings.Contains(text, r.Name+" partly failing") || strings.Contains(text, r.Name+" DOWN") {
					failing = append(failing, r.Name)
				}
			}
			if !strings.Contains(st.Sentence, c.sentence) || !slices.Equal(broken, c.broken) || !slices.Equal(failing, c.failing) {
				t.Errorf("%q\nbroken %q, failing %q; want %q, %q, %q", st.Sentence, broken, failing, c.sentence, c.broken, c.failing)
			}
		})
	}
}
