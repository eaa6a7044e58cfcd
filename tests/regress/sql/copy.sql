-- COPY both ways, whole, empty, broken
create table c (a int, b text);
copy c from stdin;
1	one
2	\N
3	tab\there\nand newline
\.
copy c to stdout;
copy c to stdout with (format csv, header, force_quote *);
copy c from stdin with (format csv);
4,"quoted ""text"""
5,
\.
copy c from stdin;
6	six
not a number	seven
\.
copy c from stdin;
\.
copy c (b) from stdin;
only b
\.
select count(*) from c;
copy (select a, b from c where a > 2 order by a) to stdout;
copy (select 1 / (a - 3) from c order by a) to stdout;
begin;
copy c from stdin;
7	seven
\.
rollback;
select count(*) from c;
copy nowhere from stdin;
copy c to stdout \; select 'after' \; copy (select 'again') to stdout;
insert into c select n, repeat('x', 1000) from generate_series(10, 2000) n;
copy (select b from c where a between 10 and 12) to stdout;
\copy c to '/dev/null'
drop table c;
