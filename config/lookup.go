package config

// index finds things by name.
type index struct{ services, monitors, regions map[string]int }

// buildIndex makes the maps behind the look-ups below. Parse calls it, last.
func (c *Config) buildIndex() {
	c.index = index{map[string]int{}, map[string]int{}, map[string]int{}}
	for i := range c.Services {
		c.index.services[c.Services[i].Name] = i
	}
	for i := range c.Monitors {
		c.index.monitors[c.Monitors[i].Name] = i
	}
	for i := range c.Regions {
		c.index.regions[c.Regions[i].Name] = i
	}
}

// Service returns the service of that name, in any case, with or without its
// last dot.
func (c *Config) Service(name string) (*Service, bool) {
	i, ok := c.index.services[fqdn(name)]
	if !ok {
		return nil, false
	}
	return &c.Services[i], true
}

// Monitor returns the monitor of that name.
func (c *Config) Monitor(name string) (*Monitor, bool) {
	i, ok := c.index.monitors[name]
	if !ok {
		return nil, false
	}
	return &c.Monitors[i], true
}

func (c *Config) monitorNames() []string {
	all := make([]string, len(c.Monitors))
	for i, m := range c.Monitors {
		all[i] = m.Name
	}
	return all
}

// Region returns the region of that name.
func (c *Config) Region(name string) (*Region, bool) {
	i, ok := c.index.regions[name]
	if !ok {
		return nil, false
	}
	return &c.Regions[i], true
}

// Target returns the canonical form, as in Override.Target, of what an operator
// calls a region, a service or service/endpoint, and whether there is one.
func (c *Config) Target(s string) (string, bool) {
	return c.findTarget(s, c.index.regions, c.index.services)
}
