-- what belongs to a session: temporary tables, locks, sequences, listening
create temp table mine (a int) on commit preserve rows;
insert into mine values (1); select * from mine;
create temp table gone (a int) on commit drop; select * from gone;
begin; create temp table soon (a int) on commit drop; insert into soon values (1); select * from soon; commit; select * from soon;
create sequence s; select nextval('s'), currval('s'), lastval(); select setval('s', 100); select nextval('s');
select pg_advisory_lock(4711); select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid(); select pg_advisory_unlock(4711), pg_advisory_unlock(4711);
listen channel; select pg_listening_channels(); unlisten *;
select pg_my_temp_schema() = 0, pg_backend_pid() = pg_backend_pid();
create function hello(name text default 'world') returns text language sql as $$ select 'hello ' || name $$;
select hello(), hello('you'), hello(name => 'named');
drop function hello; drop sequence s; drop table mine;
create view v as select 1 as a; table v; drop view v;
\d pg_am
\df pg_catalog.pg_backend_pid
\dn
\gset
select 42 as answer \gset
select :answer, :'answer';
select n from generate_series(1, 3) n \g (format=unaligned)
\set FETCH_COUNT 7
select n from generate_series(1, 20) n;
\unset FETCH_COUNT
select 'one' \; select 'two' \; select 'three';
;
;;
-- only a comment
/* another */
select 'end';
