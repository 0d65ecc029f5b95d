package config

import "testing"

func TestThreeClouds(t *testing.T) {
	c, err := Load("examples/three-clouds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Warnings {
		t.Log(w)
	}
	t.Logf("%+v", c)
}
