-- sizes around buffers, wide rows, many rows, large statements
select length(repeat('x', n)), md5(repeat('x', n)) from unnest(array[1023, 4095, 4096, 8191, 8192, 16383, 16384, 16385, 32767, 65531, 65535, 65536, 65537, 131072, 262143]) n;
select repeat('a', 65536);
select string_agg(md5(n::text), '') from generate_series(1, 4096) n;
select count(*), sum(n) from generate_series(1, 1000000) n;
select n, md5(n::text) from generate_series(1, 20000) n;
\set many `seq 1 20000 | tr '\n' ',' | sed 's/,$//'`
select count(*), sum(x) from unnest(array[:many]) x;
\set wide `seq 1 1600 | tr '\n' ',' | sed 's/,$//'`
select :wide;
create table l (a text);
insert into l select repeat('0123456789', 100000);
select length(a), md5(a) from l;
select a from l;
copy l to stdout;
drop table l;
select lo_from_bytea(4711, repeat('large', 50000)::bytea); select md5(lo_get(4711)), length(lo_get(4711)); select lo_unlink(4711);
