-- prepared statements in SQL, their errors, and DEALLOCATE
prepare a as select 1;
execute a;
prepare a as select 2;
prepare b(int, text) as select $1 + 1, upper($2);
execute b(41, 'x'); execute b(null, null); execute b('no'); execute b(1);
select name, statement, parameter_types from pg_prepared_statements order by name;
create table p (a int);
prepare ins(int) as insert into p values ($1) returning a * 10;
execute ins(1); execute ins(2);
alter table p add column z text default 'z';
prepare star as select * from p order by a; execute star;
alter table p drop column z; execute star;
explain (costs off) execute ins(3);
create table p2 as execute b(1, 'y'); select * from p2;
begin; prepare inside as select 'inside'; rollback; execute inside;
deallocate a; deallocate a; execute a;
deallocate all; execute b(1, 'x');
drop table p, p2;
