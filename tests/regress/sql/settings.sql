-- settings of the session, their scopes, and what is reported
show application_name;
show search_path; set search_path to pg_catalog, "$user"; show search_path; reset search_path; show search_path;
set datestyle to 'German, DMY'; select date '2026-12-31'; set datestyle to default; select date '2026-12-31';
set timezone to 'America/New_York'; select timestamptz '2026-07-01 12:00:00+00'; reset timezone;
set client_encoding to latin1; show client_encoding; \encoding
set client_encoding to utf8; select 'ü'; \encoding
begin; set local statement_timeout to '5s'; show statement_timeout; commit; show statement_timeout;
begin; set statement_timeout to '7s'; rollback; show statement_timeout;
set my.own to 'value'; show my.own; select current_setting('my.own'), current_setting('my.none', true); reset my.own;
select set_config('my.other', 'x', false); show my.other;
set nonsense to 1;
set work_mem to 'much';
show nonsense;
create role regress_role;
set role regress_role; select current_user, session_user; reset role; select current_user;
set session authorization regress_role; select session_user; reset session authorization; select session_user;
drop role regress_role;
set standard_conforming_strings to off; select 'a\\b'; set standard_conforming_strings to on; select 'a\\b';
set intervalstyle to iso_8601; select interval '1 day 2 hours'; reset intervalstyle;
set application_name to 'ünïcode and a very long name indeed, longer than sixty-three bytes, which is cut'; show application_name;
discard all; show application_name; show my.other;
