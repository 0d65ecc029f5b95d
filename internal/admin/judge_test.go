package admin

import (
	"strings"
	"testing"
	"time"
)

// night is a status as in an outage: a region is down, one service lost its
// backup to a drain.
func night() *Status {
	at := time.Date(2026, 11, 5, 3, 16, 12, 0, time.Local)
	s := &Status{
		At: at, Started: at.Add(-12 * 24 * time.Hour), Mode: "act", Decision: "00c0ffee00c0ffee",
		Config: Config{Hash: "7f3a11223344", At: at.Add(-50 * time.Hour), OK: true},
		Moved: Moved{
			Services: 31, To: []Count{{"gcp/europe-west1", 28}, {"azure/westeurope", 3}},
			Last: at.Add(-232 * time.Second), Clients: at.Add(-202 * time.Second),
		},
		Acts: []Act{{About: "gives pay.example.org a backup", Do: "resolver undrain azure/westeurope"}, {About: "takes onprem/fra1 out", Do: "resolver drain onprem/fra1 --reason R", Read: "DetourRefusedMoves"}},
		AtRisk: []Risk{
			{Service: "pay.example.org", Lost: true, Hint: "azure/westeurope drained by jo", Lift: "azure/westeurope"},
			{Service: "solo.example.org"},
		},
		Overrides: []Override{{
			Target: "azure/westeurope", Do: "drain", Owner: "jo", Reason: "cable work",
			Until: at.Add(164 * time.Minute), Void: []string{"lone.example.org"},
		}},
		Brake:  Brake{Fired: 1, Since: at.Add(-243 * time.Second), Ended: at.Add(-242 * time.Second), SelfPassing: 2},
		Cap:    Cap{Limit: 1, Used: 1, Refused: []string{"onprem/fra1"}},
		Next:   &Next{Region: "aws/us-east-1", At: at.Add(5 * time.Minute), IfUp: true},
		Checks: Checks{Total: 120, Up: 89, Down: 31},
		Regions: []Region{
			{
				Name: "aws/us-east-1", Down: true, Since: at.Add(-245 * time.Second), Services: 40, NothingUp: 31, Serving: 9,
				Causes: map[string]int{"refused": 2, "timeout": 29}, Endpoints: Endpoints{Up: 49, Down: 31}, Canaries: 2, CanariesDown: 1,
			},
			{Name: "gcp/europe-west1", Services: 40, Serving: 28, Endpoints: Endpoints{Up: 40}},
			{Name: "azure/westeurope", Services: 3, Serving: 3, Endpoints: Endpoints{Up: 3, Drained: 1, Unknown: 1}, Returning: 3, Share: 10},
		},
	}
	for range 39 {
		s.Services = append(s.Services, Service{Name: "calm.example.org", State: stateOK, Reason: "policy"})
	}
	s.Services = append(s.Services, Service{
		Name: "pay.example.org", State: stateLost, Elsewhere: true, Cause: "timeout", Reason: "moved", Using: []string{"gcp/europe-west1"}, Since: at.Add(-232 * time.Second),
		Why: []string{"aws/us-east-1 dark (1 of 1 down: timeout)"},
	})
	return s
}

const nightPage = `DEGRADED  aws/us-east-1 DOWN since 03:12:07 (4 min): 31 of 40 services have nothing Up there; causes timeout 29, refused 2
do        resolver undrain azure/westeurope  # gives pay.example.org a backup
          resolver drain onprem/fra1 --reason R  # takes onprem/fra1 out (DetourRefusedMoves in docs/operations.md)
moved     31 services -> gcp/europe-west1 (28), azure/westeurope (3)   last move 03:12:20   clients follow by 03:12:50
at risk   pay.example.org has NO backup (azure/westeurope drained by jo until 06:00:12: undrain would give one)
          1 service never has a backup, by its configuration
hands     1 override, freeze off, brake off (fired 03:12:09 for 1 s; self-checks pass), cap 1 of 1 used, REFUSED for onprem/fra1
          drain azure/westeurope by jo until 06:00:12: cable work; VOID for 1 service that it would leave nothing: lone.example.org
next      earliest failback to aws/us-east-1 at 03:21:12, if Up from now on
config    7f3a1122 of 2 d ago, decisions 00c0ffee00c0ffee, 89 of 120 checks up, started 12 d ago (Oct 24 03:16)

REGION            STATE  SINCE      CAUSE                  SERVING   ENDPOINTS                            CANARIES     RETURNING
aws/us-east-1     DOWN   4 min ago  timeout 29, refused 2  9 of 40   49 up, 31 down                       1 of 2 fail  -
azure/westeurope  up     -          -                      3 of 3    3 up, 1 unknown, of these 1 drained  -            3 services, ramp at 10 %
gcp/europe-west1  up     -          -                      28 of 40  40 up                                -            -

SERVICE          STATE             ANSWERS FROM      THERE SINCE  CAUSE    BACKUPS  POOLS
pay.example.org  moved, NO BACKUP  gcp/europe-west1  3 min ago    timeout  0        aws/us-east-1 dark (1 of 1 down)
39 services are healthy where they belong: --all lists them
`

func TestPage(t *testing.T) {
	s := night()
	s.judge()
	if s.ExitCode != 2 || s.State != Degraded {
		t.Errorf("%s, exit code %d", s.State, s.ExitCode)
	}
	var b strings.Builder
	if err := WriteStatus(&b, s, false); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != nightPage {
		t.Errorf("got\n%s\nwant\n%s", got, nightPage)
	}
	b.Reset()
	if err := WriteStatus(&b, s, true); err != nil || strings.Count(b.String(), "calm.example.org") != 39 {
		t.Errorf("--all does not list all: %v", err)
	}
}

// TestJudge holds each state to its sentence and exit code.
func TestJudge(t *testing.T) {
	at := time.Date(2026, 11, 5, 3, 16, 12, 0, time.Local)
	calm := func() *Status {
		return &Status{
			At: at, Mode: "act", Checks: Checks{Total: 4, Up: 4}, Services: make([]Service, 2),
			Regions: []Region{{Name: "aws/us-east-1", Services: 2}, {Name: "gcp/europe-west1", Services: 2}, {Name: "idle/region"}},
		}
	}
	for name, c := range map[string]struct {
		change   func(*Status)
		state    string
		code     int
		sentence string
	}{
		"calm":         {func(*Status) {}, Healthy, 0, "2 services in 2 regions, all where they belong; 4 checks pass"},
		"deaf":         {func(s *Status) { s.Checks.Unknown, s.Checks.Up = 4, 0 }, Degraded, 1, "none of 4 checks has a verdict, so nothing is known: look at this machine's own network"},
		"just started": {func(s *Status) { s.Checks.Unknown, s.Checks.Up, s.Started = 4, 0, s.At.Add(-time.Second) }, Healthy, 0, "2 services in 2 regions, all where they belong; 0 of 4 checks pass, 4 have no verdict yet"},
		"starting":     {func(s *Status) { s.Checks.Unknown = 1; s.Checks.Up = 3 }, Healthy, 0, "2 services in 2 regions, all where they belong; 3 of 4 checks pass, 1 have no verdict yet"},
		"single":       {func(s *Status) { s.AtRisk = []Risk{{Service: "a"}} }, Healthy, 0, ""},
		"observing":    {func(s *Status) { s.Mode = "observe" }, Healthy, 0, "2 services in 2 regions, all where they belong; 4 checks pass; observing only: answers are as if all were healthy"},
		"lost":         {func(s *Status) { s.AtRisk = []Risk{{Service: "a", Lost: true}} }, Degraded, 2, "1 service has no backup now"},
		"panic":        {func(s *Status) { s.AtRisk = []Risk{{Service: "a", Lost: true, Panic: true}} }, Panic, 2, "1 of 2 services have nothing healthy and answer by last resort: a"},
		"many panics":  {func(s *Status) { s.AtRisk = manyPanics(5) }, Panic, 2, "5 of 2 services have nothing healthy and answer by last resort: s, s, s, ..."},
		"one endpoint": {func(s *Status) { s.Regions[1].Endpoints.Down = 1; s.Regions[1].Since = at }, Degraded, 1, "gcp/europe-west1 partly failing since 03:16:12 (0 s): 1 of 1 endpoint fails there"},
		"one service": {func(s *Status) {
			s.Regions[0].NothingUp, s.Regions[0].Causes, s.Regions[0].Endpoints.Down = 1, map[string]int{"status": 1}, 1
			s.Regions[0].Since = at.Add(-3 * 24 * time.Hour)
		}, Degraded, 1, "aws/us-east-1 partly failing since Nov  2 03:16 (3 d): 1 of 2 services have nothing Up there; cause status"},
		"moved":     {func(s *Status) { s.Moved.Services = 1 }, Degraded, 1, "1 of 2 services are elsewhere than configured"},
		"returning": {func(s *Status) { s.Moved.Services = 1; s.Next = &Next{Region: "x"} }, Degraded, 1, "1 of 2 services are elsewhere than configured; traffic returns to x"},
		"manual":    {func(s *Status) { s.Moved.Services = 1; s.Next = &Next{Region: "x", Manual: true} }, Degraded, 1, "1 of 2 services are elsewhere than configured; x is up again, its failback waits for an operator"},
		"brake":     {func(s *Status) { s.Brake.On = true }, Degraded, 1, ""},
		"frozen":    {func(s *Status) { s.Moved.Pending = 2 }, Degraded, 1, "a freeze keeps 2 services from moving"},
		"self":      {func(s *Status) { s.Warnings = []string{"w"} }, Degraded, 1, "w"},
		"a canary":  {func(s *Status) { s.Checks.Down = 1 }, Degraded, 1, "1 of 4 checks fail"},
	} {
		t.Run(name, func(t *testing.T) {
			s := calm()
			c.change(s)
			s.judge()
			if s.State != c.state || s.ExitCode != c.code || c.sentence != "" && s.Sentence != c.sentence {
				t.Errorf("got %s %d %q\nwant %s %d %q", s.State, s.ExitCode, s.Sentence, c.state, c.code, c.sentence)
			}
			if strings.Contains(s.Sentence, "\n") || s.Sentence == "" {
				t.Errorf("no sentence: %q", s.Sentence)
			}
		})
	}
}

func manyPanics(n int) (out []Risk) {
	for range n {
		out = append(out, Risk{Service: "s", Lost: true, Panic: true})
	}
	return out
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min",
		time.Hour: "1 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 d",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
