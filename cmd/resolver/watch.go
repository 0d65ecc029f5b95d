package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/detour-dns/detour/internal/admin"
)

// watchEvery is how often a watched status is shown anew.
const watchEvery = time.Second

// What a terminal is told (ECMA-48): the other screen, so that what was there
// comes back; no cursor; write over what is there instead of wiping it, which
// would flicker.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	restOfLine  = "\x1b[K"
	restOfPage  = "\x1b[J"
)

// watchStatus shows the status until it is interrupted. A resolver that stops
// answering leaves its last status, with a line that says so.
func watchStatus(cmd *cobra.Command, c *admin.Client, all bool) error {
	out, ok := terminal(cmd.OutOrStdout())
	if !ok {
		return errors.New("--watch needs a terminal: for a program there are resolver status --json and resolver events --follow")
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	typed, restore := keys(cmd.InOrStdin())
	defer restore()
	fmt.Fprint(out, enterScreen)
	defer fmt.Fprint(out, leaveScreen)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	v := view{paint: colors(out)}
	var away error
	for !v.done {
		height, err := v.show(out, status, away, all)
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
			away = lost(ctx, c, &status)
		case k := <-typed:
			v.key(k, height)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// show draws a status on a terminal, and returns how many lines that has.
func (v *view) show(out *os.File, status *admin.Status, lost error, all bool) (height int, err error) {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return 0, fmt.Errorf("terminal: %w", err)
	}
	return height, v.draw(out, page(status, lost, all || v.filter != ""), width, height)
}

// terminal returns the terminal that out writes to.
func terminal(out io.Writer) (*os.File, bool) {
	if p, ok := out.(shown); ok {
		out = p.to
	}
	f, ok := out.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// lost brings the status up to date, and returns why it could not.
func lost(ctx context.Context, c *admin.Client, status **admin.Status) error {
	s, err := c.Status(ctx)
	if err == nil {
		*status = s
	}
	return err
}

// page is what is shown of a status.
func page(s *admin.Status, lost error, all bool) string {
	var b bytes.Buffer
	if lost != nil {
		fmt.Fprintf(shown{&b}, "NO ANSWER since %s: %v; what follows is of then\n", s.At.Local().Format(time.TimeOnly), lost)
	}
	_ = admin.WriteStatus(shown{&b}, s, all) // into memory
	return b.String()
}

// layout returns the lines of a text on a screen of a width.
func layout(text string, width int) (out []string) {
	prose := true
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if prose = prose && line != ""; prose {
			out = append(out, wrap(line, width)...)
		} else {
			out = append(out, line)
		}
	}
	return out
}

// indent is where the text of a labeled line begins.
const indent = 10

// wrap breaks a line between words; what follows begins below the text.
func wrap(line string, width int) (out []string) {
	for utf8.RuneCountInString(line) > width && width > 2*indent {
		runes := []rune(line)
		at := width
		for at > indent && runes[at] != ' ' {
			at--
		}
		if at == indent { // a word without end
			at = width
		}
		out = append(out, strings.TrimRight(string(runes[:at]), " "))
		line = strings.Repeat(" ", indent) + strings.TrimLeft(string(runes[at:]), " ")
	}
	return append(out, line)
}

// cut shortens a line to a width, and shows that it did.
func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width || width < 2 {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}
