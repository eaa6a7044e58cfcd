-- Literals, escapes, patterns, and what functions make of them.
set standard_conforming_strings = on;
select 'it''s', E'tab\there', E'\\', '\', U&'d\0061t\+000061', $$dollar 'quoted'$$, $a$ $$ $a$;
select 'first '
  'second' as joined;
select b'1011', x'1F', n'national';
select length('äöü'), octet_length('äöü'), upper('äöü'), '日本語' || '🙂';
select 'abc' like 'a%', 'a%c' like 'a\%c', 'abc' ~ '^a.c$', 'abc' similar to '(a|b)%';
select substring('Thomas' from 2 for 3), position('om' in 'Thomas'), overlay('Txxxxas' placing 'hom' from 2 for 4);
select regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g'), regexp_split_to_array('the quick', '\s+');
select string_agg(x, ',' order by x desc) from unnest(array['b', 'a', 'c']) x;
select md5('sluice'), encode('\x00ff'::bytea, 'hex'), decode('AP8=', 'base64');
select format('%I %L %s', 'a b', 'it''s', null), quote_literal(E'a\\b'), quote_ident('select');
select repeat('0123456789', 3), lpad('7', 3, '0'), btrim('xyxtrimyyx', 'xyz'), translate('12345', '143', 'ax');
select 'a'::char(3) || '|', 'abcdef'::varchar(3), 'x'::name, ''::text is null;
select cast('toolong' as varchar(3)), 'a' collate "C" < 'B' collate "C";
/* a comment /* nested */ still */ select 1 as behind_comments -- to the end
;
select E'\xff' as not_utf8;
select 'unterminated
';
