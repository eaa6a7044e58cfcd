-- values of many types, as text; NULLs, empties, limits
select true, false, null::bool;
select -32768::int2, 2147483647, -9223372036854775808, 9223372036854775807;
select 2147483647 + 1;
select 0.1::float4, 'NaN'::float8, '-Infinity'::float8, 1e-300 / 1e300;
select 12345678901234567890.123456789, 1 / 3::numeric, 'NaN'::numeric, 10 ^ 100::numeric;
select '', ' ', 'O''Brien', 'back\slash', E'tab\there', U&'d\0061t\+000061', 'ünïcödé', '日本語', '😀';
select date '2026-02-28' + 1, timestamp '2024-02-29 23:59:59.999999', interval '1 year 2 months -3 days 04:05:06.7';
select timestamptz '2026-03-29 01:59:59+01' at time zone 'Europe/Berlin';
select array[1, null, 3], array[['a', 'b'], ['c', 'd']], '{}'::int[], row(1, 'x', null);
select '{"a": [1, 2, {"b": null}]}'::json, '{"b": 1, "a": 2}'::jsonb, jsonb_pretty('{"k": [true]}');
select '\xdeadbeef'::bytea, ''::bytea, encode(sha256('x'), 'hex');
select inet '192.168.0.1/24', cidr '10.0.0.0/8', macaddr '08:00:2b:01:02:03', uuid '12345678-1234-1234-1234-123456789abc';
select int4range(1, 10), 'empty'::numrange, point(1, 2), box '((0,0),(1,1))', bit '1010', '10'::varbit;
select 'a fat cat'::tsvector @@ 'cat & fat'::tsquery, xmlparse(content '<a>b</a>');
select repeat('x', 10) || null, length(repeat('y', 100000)), md5(repeat('z', 1000000));
select;
select 1 as "a column with spaces", 2 as "ÄÖÜ", 3 as a, 4 as a;
select n, repeat(chr(96 + n), n) from generate_series(1, 26) n;
