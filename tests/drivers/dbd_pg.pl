#!/usr/bin/perl
# dbd_pg.pl: DBD::Pg, which prepares at the server from the second execution on.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async);

my ($bad, %chosen) = (0, map { $_ => 1 } split /,/, $ENV{SCENARIOS} // '');
$| = 1;
my $driver = 'DBD::Pg';
sub new_connection {
    return DBI->connect("dbi:Pg:dbname=$ENV{PGDATABASE}", $ENV{PGUSER}, $ENV{PGPASSWORD},
        { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
}
sub same { my ($got, $want) = @_; die "got $got, wanted $want\n" unless "$got" eq "$want"; }
sub value { my ($c, $sql, @args) = @_; return ($c->selectrow_array($sql, undef, @args))[0]; }
sub fails { my ($c, $sql, $state) = @_;
    die "$sql succeeded\n" if eval { $c->do($sql); 1 };
    same($c->state, $state) if $state;
}
my @scenarios = (
    login => sub { same(value($_[0], 'select current_user'), $ENV{PGUSER}) },
    simple => sub { same(value($_[0], "select 'zwei'"), 'zwei') },
    params => sub { same(value($_[0], 'select ?::int + 1', 41), 42); same(value($_[0], 'select ?::text', "it's"), "it's") },
    prepared => sub { my $s = $_[0]->prepare('select ?::int * 2');
        for my $n (0 .. 6) { $s->execute($n); same(($s->fetchrow_array)[0], 2 * $n); $s->finish } },
    transaction => sub { my $c = shift;
        $c->do('delete from driver_rows where driver = ?', undef, $driver);
        $c->begin_work; $c->do('insert into driver_rows values (?, 1)', undef, $driver); $c->rollback;
        $c->begin_work; $c->do('insert into driver_rows values (?, ?)', undef, $driver, $_) for 1, 2; $c->commit;
        same(value($c, 'select sum(n) from driver_rows where driver = ?', $driver), 3) },
    cursor => sub { my $c = shift; my $total = 0; $c->begin_work;
        $c->do('declare rows cursor for select n from generate_series(1, 1000) n');
        while (my @some = @{ $c->selectcol_arrayref('fetch 100 from rows') }) { $total += $_ for @some }
        $c->rollback; same($total, 500500) },
    big => sub { same(scalar @{ $_[0]->selectall_arrayref("select n, repeat('x', 100) from generate_series(1, 50000) n") }, 50000);
        same(length value($_[0], "select repeat('y', 3000000)"), 3000000) },
    error => sub { my $c = shift;
        for my $sql ('select 1/0', 'select nothing from nowhere', 'selekt') { fails($c, $sql); same(value($c, 'select 7'), 7) } },
    refused => sub { my $c = shift; fails($c, 'select * from driver_rows', '42501');
        $c->do('insert into driver_rows values (?, 1)', undef, 'refused') },
    cancel => sub { my $c = shift; $c->do('select pg_sleep(20)', { pg_async => PG_ASYNC }); select undef, undef, undef, 0.5;
        $c->pg_cancel; same(value($c, 'select 8'), 8) },
    reconnect => sub { for my $n (0 .. 9) { my $c = new_connection(); same(value($c, "select $n"), $n); $c->disconnect } },
    two => sub { my ($a, $b) = ($_[0], new_connection());
        for my $n (0 .. 19) { same(value($a, "select 'a' || ?::int", $n), "a$n"); same(value($b, "select 'b' || ?::int", $n), "b$n") }
        $b->disconnect },
);
while (my ($name, $run) = splice @scenarios, 0, 2) {
    next unless %chosen ? $chosen{$name} : $name ne 'refused';
    if (eval { local $SIG{ALRM} = sub { die "took more than 60 s\n" }; alarm 60; my $c = new_connection(); $run->($c); $c->disconnect; alarm 0; 1 }) {
        print "ok $name\n";
    } else {
        my $why = $@ =~ s/\s+/ /gr;
        print "not ok $name - $why\n";
        $bad = 1;
    }
}
exit $bad;
