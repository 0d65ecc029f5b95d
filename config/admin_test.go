package config

import "testing"

func TestAdminListen(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        "",
		"admin: off":                              "off",
		"admin: {listen: off}":                    "off",
		"admin: {listen: \"127.0.0.1:0\"}":        "tcp://127.0.0.1:0",
		"admin: {listen: \"localhost:8053\"}":     "tcp://127.0.0.1:8053",
		"admin: {listen: \"[::1]:8053\"}":         "tcp://[::1]:8053",
		"admin: {listen: \"tcp://127.0.0.2:1\"}":  "tcp://127.0.0.2:1",
		"admin: {listen: \"unix:///run/a.sock\"}": "unix:///run/a.sock",
		"admin: {listen: \":8053\", token_file: /t, tls: {cert_file: /c, key_file: /k}}": "tcp://[::]:8053",
	} {
		a := mustParse(t, text+"\nversion: 1").Admin
		got := "off"
		if a.Listen == nil && !a.Off {
			got = ""
		} else if !a.Off {
			got = a.Listen.String()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestStateDir(t *testing.T) {
	tests := []struct{ systemd, xdg, home, text, want string }{
		{"", "", "/home/u", "", "/home/u/.local/state/detour"},
		{"", "/xdg", "/home/u", "", "/xdg/detour"},
		{"", "relative", "/home/u", "", "/home/u/.local/state/detour"},
		{"/var/lib/detour", "/xdg", "/home/u", "", "/var/lib/detour"},
		{"/var/lib/detour:/var/lib/other", "", "", "", "/var/lib/detour"},
		{"/var/lib/detour", "", "", "state: {dir: /srv/detour/}", "/srv/detour"},
		{"", "", "", "", ""},
	}
	for _, tt := range tests {
		t.Setenv("STATE_DIRECTORY", tt.systemd)
		t.Setenv("XDG_STATE_HOME", tt.xdg)
		t.Setenv("HOME", tt.home)
		if got := mustParse(t, "version: 1\n"+tt.text).State.Dir; got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}
