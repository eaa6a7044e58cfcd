// Package scenarios runs a driver's scenarios over database/sql and says `ok NAME` or `not ok NAME - why`.
package scenarios

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Env reads a setting.
func Env(name, other string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return other
}

// URL is where to connect, in the words that lib/pq and pgx share.
func URL() string {
	words := []string{"host=" + Env("PGHOST", "localhost"), "port=" + Env("PGPORT", "5439"),
		"user=" + Env("PGUSER", "postgres"), "dbname=" + Env("PGDATABASE", "postgres"),
		"sslmode=" + Env("PGSSLMODE", "disable")}
	if p := os.Getenv("PGPASSWORD"); p != "" {
		words = append(words, "password="+p)
	}
	if p := os.Getenv("PGSSLROOTCERT"); p != "" {
		words = append(words, "sslrootcert="+p)
	}
	return strings.Join(words, " ")
}

func same(got, want any) error {
	if got != want {
		return fmt.Errorf("got %v, wanted %v", got, want)
	}
	return nil
}

type asker interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func ask[T comparable](c asker, want T, query string, args ...any) error {
	var got T
	if err := c.QueryRowContext(context.Background(), query, args...).Scan(&got); err != nil {
		return err
	}
	return same(got, want)
}

func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func transaction(db *sql.DB, name string) error {
	if _, err := db.Exec("delete from driver_rows where driver = $1", name); err != nil {
		return err
	}
	for commit, want := range []int{0, 3} {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		for n := 1; n <= 2; n++ {
			if _, err := tx.Exec("insert into driver_rows values ($1, $2)", name, n); err != nil {
				return err
			}
		}
		if commit == 1 {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err := all(err, ask(db, want, "select coalesce(sum(n), 0)::int from driver_rows where driver = $1", name)); err != nil {
			return err
		}
	}
	return nil
}

func cursor(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec("declare rows cursor for select n from generate_series(1, 1000) n"); err != nil {
		return err
	}
	total := 0
	for {
		rows, err := tx.Query("fetch 100 from rows")
		if err != nil {
			return err
		}
		some := 0
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				return err
			}
			total += n
			some++
		}
		if rows.Close(); some == 0 {
			return same(total, 500500)
		}
	}
}

func big(db *sql.DB) error {
	rows, err := db.Query("select n, repeat('x', 100) from generate_series(1, 50000) n")
	if err != nil {
		return err
	}
	count := 0
	for rows.Next() {
		count++
	}
	rows.Close()
	return all(same(count, 50000), ask(db, 3000000, "select length(repeat('y', 3000000))"), ask(db, strings.Repeat("y", 3000000), "select repeat('y', 3000000)"))
}

func failures(db *sql.DB) error {
	for _, query := range []string{"select 1/0", "select nothing from nowhere", "selekt"} {
		if _, err := db.Exec(query); err == nil {
			return fmt.Errorf("%s succeeded", query)
		}
		if err := ask(db, 7, "select 7"); err != nil {
			return err
		}
	}
	return nil
}

// refused: by a user that may insert and nothing else; only when chosen.
func refused(db *sql.DB) error {
	var n int
	err := db.QueryRow("select n from driver_rows").Scan(&n)
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		return fmt.Errorf("was not refused: %v", err)
	}
	_, err = db.Exec("insert into driver_rows values ($1, 1)", "refused")
	return err
}

func cancel(db *sql.DB) error {
	ctx, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer stop()
	since := time.Now()
	if _, err := db.ExecContext(ctx, "select pg_sleep(20)"); err == nil {
		return fmt.Errorf("was not cancelled")
	}
	return all(same(time.Since(since) < 10*time.Second, true), ask(db, 8, "select 8"))
}

func two(db *sql.DB) error {
	db.SetMaxOpenConns(2)
	defer db.SetMaxOpenConns(1)
	var wait sync.WaitGroup
	errs := make([]error, 2)
	for at, tag := range []string{"a", "b"} {
		wait.Add(1)
		go func(at int, tag string) {
			defer wait.Done()
			for n := 0; n < 20 && errs[at] == nil; n++ {
				errs[at] = ask(db, fmt.Sprintf("%s%d", tag, n), "select $1::text || $2::int", tag, n)
			}
		}(at, tag)
	}
	wait.Wait()
	return all(errs...)
}

// Run takes a driver of database/sql through everything.
func Run(driver, name string) {
	db, err := sql.Open(driver, URL())
	if err != nil {
		fmt.Println("not ok open -", err)
		os.Exit(1)
	}
	db.SetMaxOpenConns(1)
	bad := 0
	run := func(name string, scenario func() error) {
		chosen := os.Getenv("SCENARIOS")
		if chosen == "" && name == "refused" {
			return
		}
		if chosen != "" && !strings.Contains(","+chosen+",", ","+name+",") {
			return
		}
		if err := scenario(); err != nil {
			bad++
			fmt.Printf("not ok %s - %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Println("ok", name)
		}
	}
	run("login", func() error { return all(db.Ping(), ask(db, Env("PGUSER", "postgres"), "select current_user::text")) })
	run("simple", func() error { return ask(db, "ü€😀", "select 'ü€😀'") })
	run("params", func() error {
		return all(ask(db, 42, "select $1::int + 1", 41), ask(db, `it's \ ü`, "select $1::text", `it's \ ü`))
	})
	run("prepared", func() error {
		s, err := db.Prepare("select $1::int * 2")
		if err != nil {
			return err
		}
		defer s.Close()
		for n := 0; n < 7; n++ {
			var got int
			if err := s.QueryRow(n).Scan(&got); err != nil {
				return err
			}
			if err := same(got, 2*n); err != nil {
				return err
			}
		}
		return nil
	})
	run("transaction", func() error { return transaction(db, name) })
	run("cursor", func() error { return cursor(db) })
	run("big", func() error { return big(db) })
	run("error", func() error { return failures(db) })
	run("refused", func() error { return refused(db) })
	run("cancel", func() error { return cancel(db) })
	run("reconnect", func() error {
		for n := 0; n < 10; n++ {
			again, err := sql.Open(driver, URL())
			if err != nil {
				return err
			}
			err = ask(again, n, fmt.Sprintf("select %d", n))
			again.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
	run("two", func() error { return two(db) })
	db.Close()
	if bad > 0 {
		os.Exit(1)
	}
}
