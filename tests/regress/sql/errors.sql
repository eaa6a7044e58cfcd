-- errors, notices and their fields
\set VERBOSITY verbose
\set SHOW_CONTEXT always
select 1 / 0;
select nothing from nowhere;
selekt 1;
select 'unterminated;
';
select * from pg_class where oid = 'no such';
insert into pg_class values (1);
select "Quoted" from (select 1 as quoted) q;
do $$ begin raise debug 'd'; raise log 'l'; raise info 'i'; raise notice 'n'; raise warning 'w'; end $$;
set client_min_messages = debug1;
do $$ begin raise debug 'd'; raise notice 'n with %', 'a parameter'; end $$;
reset client_min_messages;
do $$ begin raise exception using message = 'm', detail = 'd', hint = 'h', errcode = 'P0042', column = 'c', table = 't', schema = 's', datatype = 'dt', constraint = 'k'; end $$;
create function f(int) returns int language plpgsql as $$ begin perform 1 / $1; return f($1 - 1); end $$;
select f(3);
drop function f(int);
create table k (a int constraint positive check (a > 0), b int references k_missing);
create table k (a int primary key constraint positive check (a > 0));
insert into k values (-1);
insert into k values (1), (1);
insert into k values (null);
drop table k, k_missing;
drop table if exists k_missing;
drop table k;
\errverbose
select pg_cancel_backend(pg_backend_pid());
select '๏', nothing, '๏';
