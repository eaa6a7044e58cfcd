// pq: lib/pq, which spreads an unnamed statement over two Syncs.
package main

import (
	"drivers/scenarios"

	_ "github.com/lib/pq"
)

func main() { scenarios.Run("postgres", "lib/pq") }
