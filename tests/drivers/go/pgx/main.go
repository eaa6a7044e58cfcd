// pgx: pgx v5, which prepares every statement under a name of its own.
package main

import (
	"drivers/scenarios"

	_ "github.com/jackc/pgx/v5/stdlib"
)

func main() { scenarios.Run("pgx", "pgx") }
