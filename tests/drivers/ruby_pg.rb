# ruby_pg.rb: ruby-pg on Debian's libpq.
require 'pg'
$stdout.sync = true
DRIVER = 'ruby-pg'.freeze
CHOSEN = (ENV['SCENARIOS'] || '').split(',')

def connect = PG.connect
def same(got, want) = got == want || raise("got #{got}, wanted #{want}")
def value(c, sql, *args) = args.empty? ? c.exec(sql).getvalue(0, 0) : c.exec_params(sql, args).getvalue(0, 0)

def fails(c, sql, kind = PG::Error)
  c.exec(sql)
rescue kind
  nil
else
  raise "#{sql} succeeded"
end

SCENARIOS = {
  login: ->(c) { same(value(c, 'select current_user'), ENV['PGUSER']) },
  simple: ->(c) { same(value(c, "select 'ü€😀'"), 'ü€😀') },
  params: lambda { |c|
    same(value(c, 'select $1::int + 1', 41), '42')
    same(value(c, 'select $1::text', "it's"), "it's")
  },
  prepared: lambda { |c|
    c.prepare('double', 'select $1::int * 2')
    7.times { |n| same(c.exec_prepared('double', [n]).getvalue(0, 0), (2 * n).to_s) }
  },
  transaction: lambda { |c|
    c.exec_params('delete from driver_rows where driver = $1', [DRIVER])
    begin
      c.transaction { |t| t.exec_params('insert into driver_rows values ($1, 1)', [DRIVER]) && raise(KeyError) }
    rescue KeyError
      nil
    end
    c.transaction { |t| [1, 2].each { |n| t.exec_params('insert into driver_rows values ($1, $2)', [DRIVER, n]) } }
    same(value(c, 'select sum(n) from driver_rows where driver = $1', DRIVER), '3')
  },
  cursor: lambda { |c|
    total = 0
    c.transaction do
      c.exec('declare rows cursor for select n from generate_series(1, 1000) n')
      until (some = c.exec('fetch 100 from rows')).ntuples.zero? do total += some.column_values(0).sum(&:to_i) end
    end
    same(total, 500_500)
  },
  big: lambda { |c|
    same(c.exec("select n, repeat('x', 100) from generate_series(1, 50000) n").ntuples, 50_000)
    same(value(c, "select repeat('y', 3000000)").length, 3_000_000)
  },
  error: lambda { |c|
    ['select 1/0', 'select nothing from nowhere', 'selekt'].each { |sql| fails(c, sql) && raise; same(value(c, 'select 7'), '7') }
  },
  refused: lambda { |c|
    fails(c, 'select * from driver_rows', PG::InsufficientPrivilege)
    c.exec("insert into driver_rows values ('refused', 1)")
  },
  cancel: lambda { |c|
    c.send_query('select pg_sleep(20)')
    sleep 0.5
    c.cancel
    begin
      c.get_last_result
      raise 'was not cancelled'
    rescue PG::QueryCanceled
      nil
    end
    same(value(c, 'select 8'), '8')
  },
  reconnect: ->(_) { 10.times { |n| connect.tap { |c| same(value(c, "select #{n}"), n.to_s) }.close } },
  two: lambda { |a|
    b = connect
    20.times { |n| same(value(a, "select 'a' || $1::int", n), "a#{n}") && same(value(b, "select 'b' || $1::int", n), "b#{n}") }
    b.close
  },
}.freeze

bad = false
SCENARIOS.each do |name, run|
  next unless CHOSEN.empty? ? name != :refused : CHOSEN.include?(name.to_s)
  begin
    c = connect
    run.call(c)
    c.close
    puts "ok #{name}"
  rescue StandardError => e
    bad = true
    puts "not ok #{name} - #{e.class}: #{e.message.split.join(' ')[0, 300]}"
  end
end
exit(bad ? 1 : 0)
