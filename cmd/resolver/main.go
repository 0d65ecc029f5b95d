// Command resolver is Detour: a DNS resolver that moves traffic away from a
// failing region.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }
