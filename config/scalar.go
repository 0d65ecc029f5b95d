package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// text returns a single value that is not empty.
func (d *decoder) text(v value) (string, bool) {
	switch {
	case v.node.Kind != yaml.ScalarNode:
		d.fault(v, "%s is %s: write a single value", v.key, kind(v.node))
	case strings.TrimSpace(v.node.Value) == "" || v.node.ShortTag() == "!!null":
		d.fault(v, "%s is empty: give it a value, or remove it", v.key)
	default:
		return v.node.Value, true
	}
	return "", false
}

// parseDuration reads a Go duration between low and high.
func (d *decoder) parseDuration(v value, low, high time.Duration) (time.Duration, bool) {
	s, ok := d.text(v)
	if !ok {
		return 0, false
	}
	if _, err := strconv.Atoi(s); err == nil && s != "0" {
		d.fault(v, "%s %s has no unit: write %ss, or another of ms, s, m, h", v.key, s, s)
		return 0, false
	}
	dur, err := time.ParseDuration(s)
	switch {
	case err != nil:
		d.fault(v, "%s %s is not a duration: write a number and a unit, such as 500ms, 30s or 5m", v.key, s)
	case dur < low:
		d.fault(v, "%s %s is too short: make it at least %s", v.key, s, short(low))
	case dur > high:
		d.fault(v, "%s %s is too long: make it at most %s", v.key, s, short(high))
	default:
		return dur, true
	}
	return 0, false
}

// short writes a duration as people do: 5m, not 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// parseInt reads a whole number between low and high.
func (d *decoder) parseInt(v value, low, high int) (int, bool) {
	s, ok := d.text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		d.fault(v, "%s %s is not a whole number: write one from %d to %d", v.key, s, low, high)
	case n < low:
		d.fault(v, "%s %d is too small: make it at least %d", v.key, n, low)
	case n > high:
		d.fault(v, "%s %d is too large: make it at most %d", v.key, n, high)
	default:
		return n, true
	}
	return 0, false
}

// parsePercent reads 50% or 50 as 50.
func (d *decoder) parsePercent(v value, low int) (int, bool) {
	s, ok := d.text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || n < low || n > 100 {
		d.fault(v, "%s %s is not a percentage: write %d%% to 100%%", v.key, s, low)
		return 0, false
	}
	return n, true
}

// oneOf reads a word out of a closed set.
func (d *decoder) oneOf(v value, words ...string) (string, bool) {
	s, ok := d.text(v)
	if !ok {
		return "", false
	}
	if !slices.Contains(words, s) {
		d.fault(v, "unknown %s %s: %s", v.key, s, suggest(s, words))
		return "", false
	}
	return s, true
}

// texts reads a list of distinct single values.
func (d *decoder) texts(v value) []string {
	var all []string
	for _, item := range d.list(v) {
		s, ok := d.text(item)
		switch {
		case !ok:
		case slices.Contains(all, s):
			d.fault(item, "%s has %s twice: remove one", v.key, s)
		default:
			all = append(all, s)
		}
	}
	return all
}

// The functions below make the decode function of a field out of where the
// value goes and what it may be.

func duration[T any](at func(*T) *time.Duration, low, high time.Duration) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if dur, ok := d.parseDuration(v, low, high); ok {
			*at(into) = dur
		}
	}
}

// seconds is for what a DNS record carries: whole seconds.
func seconds[T any](at func(*T) *time.Duration, low, high time.Duration) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		dur, ok := d.parseDuration(v, low, high)
		switch {
		case !ok:
		case dur%time.Second != 0:
			d.fault(v, "%s %s is not a whole number of seconds: records carry no less, write %s",
				v.key, v.node.Value, short(dur.Round(time.Second)))
		default:
			*at(into) = dur
		}
	}
}

func integer[T any](at func(*T) *int, low, high int) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if n, ok := d.parseInt(v, low, high); ok {
			*at(into) = n
		}
	}
}

func percent[T any](at func(*T) *int) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if n, ok := d.parsePercent(v, 0); ok {
			*at(into) = n
		}
	}
}

func portNumber[T any](at func(*T) *uint16) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if n, ok := d.parseInt(v, 1, 65535); ok {
			*at(into) = uint16(n)
		}
	}
}

func boolean[T any](at func(*T) *bool) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if s, ok := d.oneOf(v, "true", "false"); ok {
			*at(into) = s == "true"
		}
	}
}

func enum[T any, S ~string](at func(*T) *S, words ...S) func(*decoder, value, *T) {
	plain := make([]string, len(words))
	for i, w := range words {
		plain[i] = string(w)
	}
	return func(d *decoder, v value, into *T) {
		if s, ok := d.oneOf(v, plain...); ok {
			*at(into) = S(s)
		}
	}
}

func text[T any](at func(*T) *string) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if s, ok := d.text(v); ok {
			*at(into) = s
		}
	}
}

func texts[T any](at func(*T) *[]string) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) { *at(into) = d.texts(v) }
}
