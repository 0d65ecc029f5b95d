package agree

import (
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/health"
)

// voices reads "a+ a- b+": zone a says Up, zone a says Down, zone b says Up.
func voices(s string) (out []Voice) {
	for w := range strings.FieldsSeq(s) {
		v := Voice{Zone: w[:len(w)-1], Verdict: health.Up}
		if strings.HasSuffix(w, "-") {
			v.Verdict, v.Cause = health.Down, health.CauseTimeout
		}
		out = append(out, v)
	}
	return out
}

func TestVote(t *testing.T) {
	const none, up, down = health.Unknown, health.Up, health.Down
	for _, c := range []struct {
		voices string
		quorum int
		want   health.Verdict
	}{
		{"", 0, none},
		{"a+", 0, up},
		{"a-", 0, down},
		{"a- a-", 0, down},
		{"a- a+", 0, none}, // two in one zone must agree
		{"a- a- a+", 0, down},
		{"a- b-", 0, down},
		{"a- b+", 0, none},          // two zones must agree
		{"a- a- a- b+", 0, none},    // whatever their size
		{"a- a+ b-", 0, none},       // a zone that ties abstains, and one of two is not both
		{"a- b- c+", 0, down},       // three zones: a strict majority
		{"a- a- a- b+ c+", 0, up},   // of zones, not of heads
		{"a- b- c+ c- ", 0, down},   // two of three
		{"a- b+ c+ c-", 0, none},    // a tie abstains: one of three is no majority
		{"a- b- c+ d+", 0, none},    // half is no majority
		{"a- b- c- d+", 0, down},    //
		{"a-", 2, none},             // quorum asks for more heads
		{"a- b-", 2, down},          //
		{"a- b- c+", 3, none},       //
		{"a- a- b- b- c+", 3, down}, //
	} {
		if got := Vote(voices(c.voices), c.quorum); got.Verdict != c.want {
			t.Errorf("%q, quorum %d: %v, want %v", c.voices, c.quorum, got.Verdict, c.want)
		}
	}
}

func TestTheCauseIsTheCommonest(t *testing.T) {
	v := voices("a- b- c-")
	v[0].Cause, v[1].Cause, v[2].Cause = health.CauseStatus, health.CauseRefused, health.CauseStatus
	if got := Vote(v, 0).Cause; got != health.CauseStatus {
		t.Errorf("two status, one refused: %v", got)
	}
	v[2].Cause = health.CauseBody
	if got := Vote(v, 0).Cause; got != health.CauseRefused {
		t.Errorf("one each: %v, want the darkest", got)
	}
}
