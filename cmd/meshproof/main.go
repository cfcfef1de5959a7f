// Command meshproof proves that the data paths of a service mesh really work.
package main

import (
	"github.com/meshproof/meshproof/framework/command"
	"github.com/meshproof/meshproof/suites"
)

func main() { command.Main(suites.All()...) }
