-- The demonstration's warehouse: a table that is loaded, one that is read, and the two database users
-- behind Sluice. (Redshift would have the same statements, but for the passwords: those are IAM's.)
create user loader password :'loader';
create user ana password :'ana';

create table public.events (id bigint, kind text, at timestamp default now());
create schema staging;
create table staging.raw (line text);
create schema mart;
create table mart.sales (day date, amount numeric(12, 2));
insert into mart.sales select date '2026-01-01' + n, 100 + n from generate_series(0, 30) n;

-- No more than the role has: Sluice looks (excess_privilege).
grant insert on public.events to loader;
grant insert on staging.raw to loader;
grant usage on schema staging to loader;
grant usage on schema mart to ana;
grant select on public.events, mart.sales to ana;
