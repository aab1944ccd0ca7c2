"""The expressions whose outcomes are kept: by level, each there for one thing it shows."""

from itertools import product

# (mode, context) are "plain", "api" unless a group says otherwise.
GROUPS = []


def group(name, expressions, mode="plain", contexts=("api",)):
    GROUPS.append((name, mode, contexts, expressions))


def wrap(items):
    return ["{{ " + item + " }}" for item in items]


# L0: paths
PATHS = """config.api_key config['api_key'] config["domain"] config.page_size config.ratio config.enabled config.disabled config.none
config.empty config.zero config.ids config.names config.nested config.nested.a config.nested.a.b config.nested['a']['b'][0]
config.nested.a.b[1].c config.nested._id config.nested['items'] config.numeric_string config.json_string config.unicode config.html
config.big config.missing config['missing'] config.missing|default('d') parameters.name parameters['primary_key'] record record.id
record['name'] record.price record.tags record.tags[0] record.tags[-1] record.tags[2] record.tags[5] record.created_at record.deleted
record.owner record.owner.name record.owner.roles[1] record.lines record.lines[0].sku record.lines[0]['qty'] record.lines[-1]
record['lines'][1] record.text response response.data response.data[0].id response['data'][2]['id'] response.next
response.has_more response.meta.page response.meta response.links.next response.links headers.Link headers['X-Total'] headers.X
next_page_token next_page_token['next_page_token'] next_page_token.next_page_token last_record last_record.id last_record['ts']
last_page_size stream_slice stream_slice.account stream_slice['account'] stream_slice.start_time stream_interval.start_time
stream_interval['end_time'] stream_partition.account stream_partition['account'] stream_partition.parent_slice
stream_slice.partition stream_slice.cursor_slice stream_slice.extra_fields stream_slice.extra_fields['region']
stream_slice._partition stream_slice.extra_fields.region stream_slice.missing stream_slice['missing'] record.0 record.tags.0
record.tags.1 response.data.0.id record['owner'].name""".split()
group("paths", wrap(PATHS), contexts=("api", "odd"))
group("paths as strings", wrap(PATHS), mode="string")
group("paths as booleans", wrap(PATHS), mode="boolean", contexts=("api", "odd"))
group("paths kept as text", wrap(PATHS[:40]), mode="text")
group("text around", [f"{a}{{{{ {p} }}}}{b}" for p in PATHS[:30] for a, b in [("/v1/", "/x"), ("", ",")]])

# L1: literals, operators
NUMBERS = "0 1 -1 2 3 7 -7 1.0 2.5 -2.5 0.1 1e3 1e16 1e-5 100 255 12345678901234567890 true false".split()
group("numbers", wrap(NUMBERS + ["1_000", "0x1F", "0b101", "0o17", "1e400", "1.5e-10", "1_0.2_5", "007", "1.", ".5", "1e5", "1E5", "0.1+0.2", "1e22", "123456789.123456789", "5e-324", "1.7976931348623157e308", "9007199254740993", "-0", "-0.0", "0x", "1__0", "00"]))
OPERATORS = ["+", "-", "*", "/", "//", "%"]
group("arithmetic", wrap(f"{a} {o} {b}" for a, b in [(7, 2), (-7, 2), (7, -2), (-7, -3), (7.5, 2), (-7.5, 2), (7, 2.5), (0, 5), (1, 3), (2, 0), (2.0, 0), ("true", 1), ("true", "true"), (0.1, 3), (12345678901234567890, 3), (12345678901234567890, 2.0), (9007199254740991, 2), (1e308, 10), ("'a'", 2), (2, "'ab'"), ("'a'", "'b'"), ("[1]", "[2]"), ("[1]", 2), ("(1,)", "(2,)"), ("(1,)", 2), ("'a'", 1), (1, "'a'"), ("none", 1), ("[1]", "(2,)"), ("{}", "{}"), ("config.missing", 1), (1, "config.missing"), ("config.page_size", "config.ratio"), ("record.price", 2), ("'%s-%s'", "(1, 'x')"), ("'%d'", 3.7), ("'x'", "true"), ("[]", "false")] for o in OPERATORS))
group("powers", wrap("2**10 2**70 2**-1 2.0**0.5 (-8)**3 -2**2 2**3**2 10**20 0**0 0.0**0 0**-1 (-8)**0.5 10**-3 1.5**2 2**0.5 true**2 (-1)**101 (2**64)//3 (2**64)%1000 (2**64)-1 2**63 -(2**64)".split()))
COMPARE = ["==", "!=", "<", "<=", ">", ">="]
group("comparison", wrap(f"{a} {o} {b}" for a, b in [(1, 2), (1, 1.0), (1, "true"), ("'a'", "'b'"), ("'a'", "'A'"), ("'10'", "'9'"), ("1", "'1'"), ("none", "none"), ("none", 1), ("[1, 2]", "[1, 3]"), ("[1]", "[1.0]"), ("(1,)", "[1]"), ("{'a': 1}", "{'a': 1.0}"), ("config.missing", "none"), ("config.missing", "config.other"), ("record.id", 17), ("config.start_date", "config.end_date"), (0.1, "0.1"), (9007199254740993, 9007199254740992.0), ("'é'", "'z'"), ("[[1], 2]", "[[1], 1]"), ("now_utc()", "str_to_datetime('2024-01-01')"), ("duration('P1D')", "duration('PT24H')"), ("today_utc()", "now_utc().date()")] for o in COMPARE))
group("chains", wrap(["1 < 2 < 3", "1 < 3 < 2", "1 == 1.0 == true", "3 > 2 > 1 > 0", "1 < 2 > 1", "'a' < 'b' == true", "1 in [1] in [[1]]", "not 1 == 2", "not (1 == 2)", "1 == 1 and 2 == 2", "1 if 2 > 1 else 0", "0 <= record.id < 20 != 5"]))
group("membership", wrap(f"{a} {o} {b}" for a, b in [("'a'", "'abc'"), ("''", "'abc'"), ("'x'", "'abc'"), (1, "[1, 2]"), ("1.0", "[1]"), ("'1'", "[1]"), ("'a'", "{'a': 1}"), ("1", "{'a': 1}"), ("none", "[none]"), ("'id'", "record"), ("'x'", "config.missing"), ("config.missing", "[1]"), (1, "'123'"), ("'a'", "none"), ("[1]", "[[1]]"), ("[1]", "{}"), ("'red'", "record.tags"), ("'r'", "record.tags"), ("'account'", "stream_slice"), ("2", "(1, 2)"), ("'k'", "config.nested.keys()"), ("'shadowed'", "config.nested.values()"), ("true", "[1]")] for o in ["in", "not in"]))
BOOL = ["true", "false", "none", "0", "1", "''", "'x'", "[]", "[0]", "{}", "config.missing", "0.0", "record.owner"]
group("and or", wrap(f"{a} {o} {b}" for (a, b), o in product(list(product(BOOL, BOOL))[::3], ["and", "or"])))
group("not", wrap(["not " + b for b in BOOL] + ["not not 'x'", "not 1 + 1", "not 'a' in 'b'", "-true", "+true", "-config.page_size", "+'a'", "-'a'", "-config.missing", "--1", "-none", "+1.5", "- -2"]))
group("conditions", wrap(f"'y' if {b} else 'n'" for b in BOOL) + wrap(["'y' if false", "1 if true", "'a' if 1 else 'b' if 1 else 'c'", "('a' if 0 else 'b') if 0 else 'c'", "config.missing if config.missing else 'd'", "'x' ~ (1 if false)", "record.id if record.id is defined else 0", "'a' if x is defined else 'b'", "1 if 0 if 1 else 2"]))
group("concatenation", wrap(f"{a} ~ {b}" for a, b in product(["'a'", "1", "1.0", "none", "true", "[1, 'x']", "{'k': none}", "config.missing", "now_utc()"], ["'b'", "2.50", "record.id", "()"])))
SLICES = ["1:", ":1", ":-1", "::2", "::-1", "1:3", "-2:", "5:", ":0", "2:1", "-1:0:-1", "::0", "1:2:3", "true:", "none:2", "'a':", "100:", "-100:2", "1.0:"]
group("slices", wrap(f"{x}[{s}]" for x in ["'abcdé'", "[1, 2, 3, 4]", "(1, 2, 3)", "config.unicode", "none", "config.missing", "record", "5"] for s in SLICES))
group("indexing", wrap(f"{x}[{i}]" for x in ["'abc'", "[10, 20, 30]", "(1, 2)", "{'a': 1, 2: 'two', none: 'n', true: 't'}", "config.unicode", "none", "7"] for i in ["0", "-1", "2", "9", "'a'", "'upper'", "true", "none", "1.0", "config.missing", "[1]"]))
group("literals", wrap(["[]", "[1, 'a', none, true, 1.5]", "()", "(1,)", "(1, 2)", "1, 2", "{}", "{'a': 1}", "{1: 'x', 'y': [1, {}]}", "{'a': 1, 'a': 2}", "{1: 'a', true: 'b', 1.0: 'c'}", "[[], [[]], ()]", "'a' 'b' \"c\"", "{'a': {'b': (1, 2)}}", "[1, 2, ]", "{'a': 1, }", "(1)", "('a')", "{[1]: 2}", "[1][0]", "{'a': 1}.a", "{'items': 1}.items()|list", "{'get': 1}['get']", "True", "None", "False", "TRUE", "[none, None, true, True]", "{none: 1}", "{(1, 2): 3}", "{1.5: 2}[1.5]"]))
ESCAPES = [r"'a\'b'", r'"a\"b"', r"'a\\b'", r"'a\nb'", r"'a\tb'", r"'\x41'", r"'\u00e9'", r"'\U0001F600'", r"'\101'", r"'\q'", r"'é'", r"'\xe9'", r"'a\
b'", r"'\\n'", r"'\x4'", r"'\u12'", "'\t'", "'\"'", '"\'"', r"'\a\b\f\v'|tojson", r"'\0'|length", r"'\N'", "'a\nb'"]
group("escapes", wrap(ESCAPES) + wrap([e + "|list" for e in ESCAPES]) + wrap(["[" + e + "]" for e in ESCAPES]))

# Reading of the result
RESULTS = """123 -5 +5 --5 1.50 1e5 007 0x1F 1_000 True False None true none [1,2] [1,_2] {'a':1} {1,2} {} () (1,) (1) 'quoted' "double" 'un
b'bytes' r'raw\\n' u'uni' f'x' 'a''b' 'a'"b" 1+2j 1-2j 2j 1+2 1,2 1, ... [...] .5 5. 5.e1 1j [1j] set() {*()} 1__0 0b11 0o7 09 00 2024-01-01
a b [1 [1,] [,] {1:} {'a':1,} {'a':1,'a':2} {[1]:2} {[1]} ((1,2),[3]) [True,None] -True -1j - 1 1 # c #c [1,#c 'a\\tb' '\\x41' '\\N{DASH}'
\\ 1\\ "\\" __ "a"b 1.0.0 1e 1e400 -1e400 1e-400 [[[[1]]]] nan inf NaN Ellipsis 1_ _1 0_0 {} {} '''t''' '''a 1L 0777 'é' é ０""".split()
group("results", RESULTS + ["  5", "5  ", "\n5", " \n5", "\n 5", "5\n6", "5 6", "[1,\n 2]", "(1,\n2)", "'a\nb'", "'''a\nb'''", "5 # five", "[1, # one\n2]", "5\\\n", "1 +2j", "1 + 2", "- 5", "-\n5", "[1, 2", "{'a': [1, {'b': None}]}", "'a' 'b'", "('a' 'b')", "'a', 'b'", "{'a', 'b'}x", "1 if 1 else 2", "lambda: 1", "a.b", "a()", "[x for x in y]", "\t5", "5\t", "\r\n5", "5\r\n", "1;", "b'a' 'b'", "b'\\xff'", "b'é'", "br'\\x'", "0xfff_f", "0b2", "1E5", "1_0e1_0", "9" * 4300, "9" * 4301, "-" + "9" * 20, "(" * 50 + "1" + ")" * 50, "[" * 90 + "]" * 90])
group("results of expressions", wrap(["'[1, 2]'", "'{\"a\": 1}'", "'123'", "'1' ~ '2'", "'\"x\"'", "[1]|string", "{'a': none}|string", "{'a': none}|tojson", "'true'", "'True'", "'None'", "none", "'  7 '", "'7,'", "record|string", "'007'", "'1e3'", "config.json_string", "config.numeric_string", "\"'a'\"", "'a\\nb'", "[now_utc()]", "'1_000'", "'-'", "record.owner|tojson", "'...'", "'b\"x\"'"]), contexts=("api",))
group("results kept as text", wrap(["'[1, 2]'", "'123'", "1.5", "'\"x\"'", "none", "true", "[1]", "\"'a'\"", "2j"]) + ["'a'", "5"], mode="text")

# Undefined
UNDEF = ["config.missing", "config.missing.deeper", "config['missing']['deeper']", "record.owner.x.y", "nothing", "nothing.a", "config.none.x", "config.none['x']", "config.missing()", "config.missing|upper", "config.missing|int", "config.missing|length", "config.missing|list", "config.missing|join(',')", "config.missing|default('x')", "config.missing.a|default('x')", "config.missing + 1", "1 + config.missing", "config.missing ~ 'a'", "[config.missing]", "{'a': config.missing}", "config.missing|string", "config.missing|tojson", "config.missing == ''", "config.missing[0]", "config.missing[0:1]", "config.missing|first", "config.missing|last", "config.missing|sort", "config.missing|reverse", "config.missing|map('int')|list", "config.missing|float", "config.missing|abs", "config.missing|round", "config.missing|trim", "config.missing|replace('a','b')", "config.missing|hash", "config.missing|base64encode", "config.missing is defined", "config.missing is none", "config.missing is undefined", "config.missing|d(1)", "'x' if config.missing else 'y'", "config.missing < 1", "config.missing in []", "-config.missing", "config.missing|e", "config.missing|urlencode", "config.missing|items|list", "config.missing|dictsort", "config.missing|sum", "config.missing|max", "config.missing|unique|list", "config.missing|select|list", "config.missing|selectattr('x')|list", "config.missing|groupby('x')|list", "config.missing|format", "config.missing|title", "config.missing|wordcount", "config.missing|regex_search('a')", "config.missing|hmac('k')", "format_datetime(config.missing, '%Y')", "timestamp(config.missing)", "str_to_datetime(config.missing)", "duration(config.missing)", "max(config.missing, 1)", "day_delta(config.missing)", "sanitize_url(config.missing)", "camel_case_to_snake_case(config.missing)", "config.get(config.missing)", "config.missing.get('a')", "'a'.join(config.missing)", "range(3)", "debug()", "self", "loop", "config.missing|attr('x')", "config.missing|batch(2)|list", "config.missing|truncate", "config.missing|indent", "config.missing|wordwrap", "config.missing|xmlattr", "config.missing|filesizeformat", "config.missing|center(3)"]
group("undefined", wrap(UNDEF), contexts=("api",))
group("undefined as strings", wrap(UNDEF), mode="string")
group("undefined as booleans", wrap(UNDEF), mode="boolean")
group("default only", wrap(["response.next", "response['next']", "config.get('a')", "record.id or 1"]), contexts=("odd",), mode="string")

# L2: dates
FORMATS = "%Y-%m-%d %Y-%m-%dT%H:%M:%SZ %Y-%m-%dT%H:%M:%S.%fZ %s %ms %_ms %s_as_float %epoch_microseconds %Y-%m-%dT%H:%M:%S.%_msZ %d/%m/%y %H:%M %j %U %W %A %a %B %b %I %p %z %Z %c %x %X %G-W%V-%u %w %e %-d %-m %y %% %C %f %D %F %T %R %h %n %t %k %l %g %P %r %q %E %Od %^a %#Z %10Y %5d %_d %0e".split()
DATE_VALUES = ["now_utc()", "today_utc()", "str_to_datetime(record.created_at)", "str_to_datetime('0099-03-01')"]
group("strftime", wrap(f"{d}.strftime('{f}')" for d in DATE_VALUES for f in FORMATS))
group("format_datetime", wrap(f"format_datetime({d}, '{f}')" for d in ["now_utc()", "config.start_date", "record.updated", "'2024-02-29'", "record.created_at", "str_to_datetime('2023-12-31')"] for f in FORMATS[:24]))
INPUTS = [("'2024-03-10'", "%Y-%m-%d"), ("'10/03/2024'", "%d/%m/%Y"), ("'2024-03-10 11:12:13'", "%Y-%m-%d %H:%M:%S"), ("'2024-03-10T11:12:13.456Z'", "%Y-%m-%dT%H:%M:%S.%fZ"), ("'2024-03-10T11:12:13+0530'", "%Y-%m-%dT%H:%M:%S%z"), ("'2024-03-10T11:12:13Z'", "%Y-%m-%dT%H:%M:%S%z"), ("1710000000", "%s"), ("1710000000123", "%ms"), ("'1710000000'", "%s"), ("1710000000123456", "%epoch_microseconds"), ("'March 5, 2024'", "%B %d, %Y"), ("'5 mar 24'", "%d %b %y"), ("'2024 70'", "%Y %j"), ("'11 PM'", "%I %p"), ("'12 AM'", "%I %p"), ("'2024-W10-1'", "%G-W%V-%u"), ("'Sun 10 Mar 2024'", "%a %d %b %Y"), ("'2024 10 1'", "%Y %W %w"), ("'bad'", "%Y"), ("'2024-13-01'", "%Y-%m-%d"), ("'2024-02-30'", "%Y-%m-%d"), ("'2024-03-10x'", "%Y-%m-%d"), ("'20240310'", "%Y%m%d"), ("'2024-03-10  11'", "%Y-%m-%d %H"), ("'2024'", "%Q"), ("'2024'", "%"), ("'29'", "%d"), ("'02-29'", "%m-%d"), ("5", "%Y"), ("20240310", "%Y%m%d"), ("'x UTC'", "x %Z"), ("none", "%Y"), ("1.5", "%s"), ("true", "%s"), ("'2024-03-10'", ""), ("'+01:00'", "%z"), ("'2024-03-10T11:12:13.5'", "%Y-%m-%dT%H:%M:%S.%f")]
group("input formats", wrap(f"format_datetime({v}, '%Y-%m-%dT%H:%M:%S.%f%z', '{f}')" for v, f in INPUTS) + wrap(f"now_utc().strptime({v}, '{f}')" for v, f in INPUTS))
ISO = "2024-03-10 20240310 2024-03 2024 2024-03-10T11 2024-03-10T11:12 2024-03-10T11:12:13 2024-03-10T111213 2024-03-10T11:12:13.5 2024-03-10T11:12:13,123456789 2024-03-10T11:12:13Z 2024-03-10T11:12:13z 2024-03-10T11:12:13+02 2024-03-10T11:12:13+0230 2024-03-10T11:12:13-02:30 2024-03-10T24:00:00 2024-03-10T24:01 2024-W10 2024-W10-7 2024W107 2024-070 2024070 2024-366 2023-366 2024-13-01 2024-02-30 2024-3-1 24-03-10 2024-03-10t11:12 2024-03-10x11:12 2024-03-10T1:2 2024-03-10T11:1213 2024-03-10T11:12:60 2024-03-10T25:00 2024-03-10T11:12:13+25 2024-03-10T11:12:13+02:60 2024-03-10T11:12:13+00:00 2024-03-10T11:12:13UTC 0001-01-01 9999-12-31T23:59:59.999999 0000-01-01 9999-12-31T23:00:00-05:00 0001-01-01T00:00:00+05:00 é abc 2024-03-10T 202403".split()
group("str_to_datetime", wrap(f"str_to_datetime('{i}')" for i in ISO + ["2024-03-10 11:12:13", "2024-03-10  11", "", " 2024-03-10"]) + wrap(f"timestamp('{i}')" for i in ISO[:15]) + wrap(f"str_to_datetime({v})" for v in ["none", "5", "[]", "{}", "now_utc()", "true", "'2024' ~ '-01'"]))
PERIODS = "P1D P1M P1Y P1W PT1H PT1M PT1S PT0.5S P1Y2M3DT4H5M6S P0D P30D P13M -P1D -P1M +P1D P1.5D P0.5M P1,5D PT36H P P1 1D PT P1DT P1D1M PD P-1D P2W3D P0003-02-01T04:05:06 P00030201T040506 PT1.123456789S P1Y-1M".split() + [""]
group("duration", wrap(f"duration('{p}')" for p in PERIODS) + wrap(f"now_utc() - duration('{p}')" for p in PERIODS) + wrap(f"(today_utc() + duration('{p}')).strftime('%F')" for p in PERIODS[:20]) + wrap(f"str_to_datetime('2024-01-31') + duration('{p}')" for p in PERIODS[:14]))
group("date arithmetic", wrap("""now_utc() - str_to_datetime('2024-02-01')|(now_utc() - str_to_datetime('2024-02-01')).days|(now_utc() - str_to_datetime('2024-02-01')).total_seconds()|duration('P1D') + duration('P1D')|duration('P1M') + duration('P1D')|duration('P1D') + duration('P1M')|duration('P1M') * 2|duration('P1D') * 2|duration('P1D') * 1.5|duration('P1D') / 2|duration('P1D') / duration('PT1H')|duration('P1D') // duration('PT5H')|duration('P1D') % duration('PT5H')|-duration('P1D')|-duration('P1M')|duration('P1D') - duration('P1M')|duration('P1M') - duration('P1D')|duration('P1M') == duration('P1M')|duration('P12M') == duration('P1Y')|duration('P1M') < duration('P2M')|duration('P1D') > duration('PT1H')|now_utc() + 1|now_utc() + now_utc()|today_utc() - today_utc()|today_utc() - now_utc()|now_utc() > today_utc()|now_utc() == today_utc()|today_utc() == now_utc().date()|duration('P1D')|string|duration('P1M').months|duration('P1Y').years|duration('P1M').days|duration('P1M').tdelta|duration('P1DT1H').seconds|duration('PT0.5S').microseconds|[duration('P1D')]|[duration('P1M2D')]|[now_utc(), today_utc()]|[str_to_datetime('2024-01-01')]|now_utc().replace(tzinfo=none)|now_utc().replace(tzinfo=none) < now_utc()|now_utc().replace(day=31)|now_utc().replace(hour=0, minute=0, second=0, microsecond=0)|now_utc().replace(year=2023)|today_utc().replace(day=1)|today_utc().replace(hour=1)|duration('P1D') and 1|duration('P0D') or 2|abs(duration('-P1D'))|duration('-P1D')|abs|duration('-PT1H')|str_to_datetime('9999-12-31') + duration('P1D')|str_to_datetime('0001-01-01') - duration('P1M')|duration('P999999999D') + duration('P1D')|1 - duration('P1D')|'a' + duration('P1M')|duration('P1M') + 1|duration('P1D') / 0|duration('P1D') * 'a'""".replace("|string|", "~''|").replace("|abs|", "|").split("|")) + wrap(["duration('P1D')|string", "duration('-P1D')|abs", "now_utc()|string", "now_utc()|tojson", "now_utc()|int", "now_utc()|float"]))
group("date attributes", wrap(f"{d}.{a}" for d in DATE_VALUES[:3] + ["now_utc().time()", "duration('P1DT2H3.5S')", "duration('PT1M')", "duration('P2M')"] for a in "year month day hour minute second microsecond tzinfo fold weekday() isoweekday() isoformat() isoformat(' ') isoformat(sep='_') isoformat(timespec='milliseconds') isocalendar() isocalendar().week timestamp() date() time() timetz() utcoffset() tzname() dst() toordinal() ctime() timetuple() timetuple().tm_yday astimezone() days seconds microseconds total_seconds() max min resolution years nothing".split()))
group("macros", wrap("""now_utc()|today_utc()|now_utc().strftime('%Y')|today_with_timezone('Europe/Berlin')|today_with_timezone('Pacific/Kiritimati')|today_with_timezone('Pacific/Honolulu')|today_with_timezone('America/New_York').strftime('%d')|today_with_timezone('UTC')|today_with_timezone('Nowhere/City')|today_with_timezone('+05:00')|today_with_timezone(none)|today_with_timezone()|timestamp(1658505815.223235)|timestamp(5)|timestamp(true)|timestamp('2022-07-22T16:03:35Z')|timestamp('2022-07-22')|timestamp('x')|timestamp(none)|timestamp([])|timestamp(now_utc())|timestamp()|timestamp(1, 2)|timestamp(dt=5)|timestamp(x=5)|max(2, 3)|max([1, 5, 2])|max('abc')|max(1, 2.5)|max('a', 'b')|max(1, 'a')|max([])|max(5)|max()|max(1, 1.0)|max(true, 1)|min(2, 3)|min([3, 1])|min(1, key=2)|min('2024-01-01', config.start_date)|max(config.start_date, config.end_date)|day_delta(1)|day_delta(-30)|day_delta(0, '%Y-%m-%d')|day_delta(25, format='%s')|day_delta(1.5)|day_delta(num_days=2)|day_delta('1')|day_delta(none)|day_delta(99999999)|day_delta()|day_delta(true, '%d')|sanitize_url('https://e.com/a b?q=1&r=ü')|sanitize_url('a+b/~_-.')|sanitize_url(5)|sanitize_url(none)|sanitize_url('')|camel_case_to_snake_case('CamelCaseName')|camel_case_to_snake_case('camelCase')|camel_case_to_snake_case('HTTPServer')|camel_case_to_snake_case('a_B')|camel_case_to_snake_case(5)|camel_case_to_snake_case('')|camel_case_to_snake_case(record.camelCaseField)|generate_uuid()|generate_uuid(1)|format_datetime('2024-01-01')|format_datetime()|format_datetime(dt='2024-01-01', format='%Y')|format_datetime('2024-01-01', 5)|format_datetime('2024-01-01', none)|format_datetime(today_utc(), '%Y')|format_datetime(1.5, '%Y')|format_datetime('nope', '%Y')|format_datetime(true, '%Y')|format_datetime([], '%Y')|format_datetime(-5, '%Y-%m-%d')|format_datetime(99999999999999, '%Y')|duration(5)|duration()|dict(a=1)|dict({'a': 1}, b=2)|dict([('a', 1)])|dict([1])|dict(1)|dict()|now_utc is callable|max is defined|namespace(a=1).a|joiner('-')()|cycler('a', 'b').next()|cycler('a').current|cycler()""".split("|")))

# L3: filters
VALUES = ["'Hello World'", "''", "' x '", "'12'", "'3.7'", "5", "-2.5", "2.5", "none", "true", "[3, 1, 2]", "[]", "['b', 'A', 'a']", "{'b': 1, 'a': 2}", "config.missing", "(1, 2)", "record.lines", "config.html", "config.unicode"]
SIMPLE = "abs capitalize count default dictsort e first float forceescape int items|list join last length list lower max min reverse|list round safe sort string striptags sum title tojson trim unique|list upper urlencode wordcount base64encode base64decode hash pprint filesizeformat center xmlattr escape d batch(2)|list slice(2)|list select|list reject|list urlize".split()
group("filters", wrap(f"{v}|{f}" for v in VALUES for f in SIMPLE))
group("filter arguments", wrap(r"""
'a,b'|replace(',', '-')
'aaa'|replace('a', 'b', 2)
5|replace(5, 6)
'abc'|replace('', '-')
'abc'|replace('b')
'x'|default('y', true)
''|default('y')
''|default('y', true)
none|default('y')
none|default('y', true)
0|d(1, true)
0|d(default_value=1, boolean=true)
[1, 2]|join('-')
[1, none]|join(',')
record.lines|join(',', attribute='sku')
record.lines|join(',', 'sku')
'42'|int(7)
'x'|int(7)
'0x1F'|int(0, 16)
'ff'|int(base=16)
'0b11'|int(0, 2)
'12.9'|int
'1e3'|int
'inf'|int(9)
' 12 '|int
'1_000'|int
'x'|float(1.5)
'1.5e3'|float
'nan'|float
2.5|round
3.5|round
2.675|round(2)
-2.5|round
1234|round(-2)
1250|round(-2)
1.25|round(1)
1.35|round(1)
2.1|round(0, 'ceil')
2.9|round(0, 'floor')
2.15|round(1, 'ceil')
2|round(1, 'floor')
5|round
5.0|round(2)
2.5|round(1, 'x')
1e300|round(2)
0.1|round(20)
'abc'|truncate(3)
'hello big world'|truncate(9)
'hello big world'|truncate(9, true)
'hello big world'|truncate(9, false, '', 0)
'hello'|truncate(2)
'hello big world'|truncate(11, leeway=0)
'a\\nb\\n\\nc'|indent
'a\\nb'|indent(2, true)
'a\\n\\nb'|indent(2, blank=true)
'a\\nb'|indent('> ')
'hello world foo'|wordwrap(5)
'hello world foo'|wordwrap(8)
'aaaaaaaaaa b'|wordwrap(4)
'aaaaaaaaaa b'|wordwrap(4, false)
'a-b-c-d e'|wordwrap(3)
'one two three'|wordwrap(7, wrapstring='|')
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3]|batch(2, 'x')|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4]|slice(3, 'x')|list
[3, 1, 2]|sort(reverse=true)
['b', 'A', 'c']|sort
['b', 'A', 'c']|sort(case_sensitive=true)
record.lines|sort(attribute='qty')
record.lines|sort(attribute='sku')|map(attribute='sku')|list
record.lines|sort(attribute='price,qty')|first
[1, 'a']|sort
{'b': 2, 'A': 1}|dictsort
{'b': 2, 'A': 1}|dictsort(true)
{'b': 2, 'A': 1}|dictsort(by='value')
{'b': 2, 'A': 1}|dictsort(reverse=true)
{'b': 2}|dictsort(by='x')
record.lines|map(attribute='sku')|list
record.lines|map(attribute='ok')|list
record.lines|map(attribute='ok', default='-')|list
record.lines|map('length')|list
['1', '2']|map('int')|list
['1', '2']|map('int')|sum
['a', 'b']|map('upper')|join
['a', 'b']|map('replace', 'a', 'x')|list
[1, 2]|map
[1]|map('nope')|list
[1]|map(attribute='a', x=1)|list
[[1, 2], [3]]|map('first')|list
[1.5, 2.5]|map('round')|list
[1, 2]|map('string')|join(',')
[{'a': {'b': 1}}]|map(attribute='a.b')|list
[[1, 2]]|map(attribute=0)|list
[[1, 2]]|map(attribute='1')|list
[1, 2, 3, 4]|select('even')|list
[1, 2, 3]|select('gt', 1)|list
[1, 2, 3]|reject('odd')|list
[0, 1, '']|select|list
[1, none]|reject('none')|list
['a', 'b']|select('in', ['a'])|list
['a', 'bb']|select('equalto', 'a')|list
[1]|select('nope')|list
record.lines|selectattr('ok')|map(attribute='sku')|list
record.lines|selectattr('qty', 'gt', 1)|list|length
record.lines|selectattr('sku', 'equalto', 'b2')|first
record.lines|selectattr('sku', '==', 'b2')|map(attribute='qty')|first
record.lines|rejectattr('ok')|list|length
record.lines|selectattr('ok', 'defined')|list|length
record.lines|selectattr('qty', 'none')|list
record.lines|selectattr
record.lines|groupby('ok')|list
record.lines|groupby('qty')|map(attribute='grouper')|list
record.lines|groupby('ok', default=false)|list|length
['a', 'A', 'b']|groupby(0)|list
record.lines|sum(attribute='qty')
record.lines|sum(attribute='price')
[1, 2]|sum(start=10)
['a']|sum
[[1], [2]]|sum(start=[])
[1.5, 2]|sum
['a', 'A', 'b']|unique|list
['a', 'A', 'b']|unique(true)|list
record.lines|unique(attribute='ok')|list|length
[1, 1.0, true]|unique|list
[[1]]|unique|list
record.lines|max(attribute='qty')
record.lines|min(attribute='price')
['b', 'A']|min
['b', 'A']|min(case_sensitive=true)
[]|max
[]|first
[]|last
'abc'|first
'abc'|last
{'a': 1}|first
{'a': 1}|last
[1, 2]|reverse|first
'abc'|reverse
'a b&c/d'|urlencode
{'a': 1, 'b c': 'd&e'}|urlencode
[('a', 1), ('b', 'x/y')]|urlencode
'ü'|urlencode
5|urlencode
'%s-%s'|format(1, 2)
'%(a)s'|format(a=1)
'%d'|format('x')
'%05.1f'|format(3.14159)
'%s'|format(1, 2)
'%s%%'|format(5)
'%x %X %o'|format(255, 255, 8)
'%e'|format(12345.678)
'%g'|format(0.00001)
'%r'|format('a')
'%-5s|'|format('a')
'%+d'|format(5)
'%c'|format(65)
'%5.2s|'|format('abc')
'%*d'|format(5, 3)
'/a/'|trim('/')
'xxaxx'|trim('x')
'a'|hash('sha256')
'a'|hash('md5', 'salt')
'a'|hash('sha512')
5|hash
none|hash
'a'|hash('nope')
'a'|hash('sha3_256')
'a'|hash('blake2b')
'a'|hash('shake_128')
'a'|hash('new')
'a'|hmac('key')
'a'|hmac('key', 'sha256')
'a'|hmac('key', 'md5')
5|hmac(6)
'ü'|base64encode
5|base64encode
'aGk='|base64decode
'aGk'|base64decode
'!!'|base64decode
'/w=='|base64decode
'abc'|base64binascii_decode
'é'|base64binascii_decode
1|tojson
'<a>'|tojson
{'b': 1, 'a': [none, true, 1.5]}|tojson
[1]|tojson(2)
{'a': {'b': 1}}|tojson(indent=2)
'é'|tojson
{1: 2, none: 3, true: 4}|tojson
{(1,): 2}|tojson
{1: 'a', 'b': 2}|tojson
1e400|tojson
[1, 'a']|string
{'a': 1.0}|string
's'|string
none|string
(1, 2)|string
now_utc()|string
1024|filesizeformat
1500000|filesizeformat
1500000|filesizeformat(true)
1|filesizeformat
999|filesizeformat
'x'|filesizeformat
'abc'|center(9)
'a'|center(4)
{'id': 'x', 'n': none, 'b': '<'}|xmlattr
{'a b': 1}|xmlattr
{'a': 1}|xmlattr(false)
record|attr('id')
record|attr('items')
'a'|attr('upper')
'see http://example.com/x?y=1.'|urlize
'mail me@example.com (www.test.org)'|urlize(5)
{'a': 1}|items|list
[1]|items|list
'x'|nope
'x'|upper(1)
'x'|replace(a=1)
'a'|e|length
'<a>'|e ~ '<b>'
('<a>'|e) + '<b>'
('<a>'|safe)|upper
['<'|e]
'<%s>'|safe|format('<')
'a'|default
'a'|random
'x'|length > 0
1|int + 1
""".strip().split("\n")))

REGEX = [("'abc123'", r"([a-z]+)"), ("'abc123'", r"(\\d+)"), ("'abc123'", "abc"), ("'abc'", "(x)"), ("'abc'", "(x)?abc"), ("'a.b'", r"(\\.)"), ("'AbC'", "(?i)(ABC)"), ("'a1b2'", r"([a-z])(\\d)"), ("'a1b2'", r"[a-z](\\d)$"), ("'a\\nb'", "^(b)"), ("'a\\nb'", "(?m)^(b)"), ("'aaa'", "(a+?)"), ("'aaa'", "(a{2})"), ("'foo=bar; baz'", "foo=([^;]+)"), ("headers.Link", r"cursor=(\\w+)"), ("headers.Link", r"<([^>]+)>; rel=\"next\""), ("response.next", r"page=(\\d+)"), ("'abab'", r"(ab)\\1"), ("'x'", "("), ("'x'", "[a"), ("'x'", "*"), ("'x'", r"(?P<n>x)"), ("'xx'", r"(?P<n>x)(?P=n)"), ("'price 12'", r"(?<=price )(\\d+)"), ("'ab'", "a(?=b)(b)"), ("'ac'", "a(?!b)(c)"), ("'é1'", r"(\\w)"), ("'é1'", r"(?a)(\\w)"), ("'a b'", r"(\\S+)\\s(\\S+)"), ("'2024-01-02'", r"(\\d{4})-(\\d{2})"), ("'x'", r"(\\Ax\\Z)"), ("'a_b'", r"\\b(b)"), ("'aXb'", "(?:a)(X)"), ("'aaa'", "(?>a+)(a)"), ("'aab'", "(a*+)(b)"), ("'ab'", "(a)?(?(1)b|c)"), ("'x'", r"\\q"), ("'tel: +1'", r"(\\+1)"), ("5", "(5)"), ("none", "(x)"), ("'a-b'", "([a-]+)"), ("']'", "([]])"), ("'^'", r"([\\^])"), ("''", "()"), ("'ab'", "(?x) ( a ) # c"), ("'a'", "(?i:A)"), ("'ß'", "(?i)(ß)"), ("'x'", "(?<=a+)x"), ("'abc'", "(?s)(.+)"), ("'a\\nc'", "(a.c)"), ("'a\\nc'", "(?s)(a.c)")]
group("regex_search", wrap(f"{v}|regex_search('{p}')" if "\"" in p or "'" not in p else f'{v}|regex_search("{p}")' for v, p in REGEX))
group("regex_replace", wrap(f"{v}|regex_replace('{p}', '{r}')" for v, p in REGEX for r in ["-", r"[\\g<0>]"]) + wrap([r"'abc'|regex_replace('', '-')", r"'abc'|regex_replace('b*', '-')", r"'a1b2'|regex_replace('([a-z])(\\d)', '\\2\\1')", r"'ab'|regex_replace('(?P<x>a)', '<\\g<x>>')", r"'ab'|regex_replace('a', '\\1')", r"'ab'|regex_replace('a', '\\g<q>')", r"'ab'|regex_replace('a', '\\q')", r"'ab'|regex_replace('a', '\\n')", r"'ab'|regex_replace('(x)?a', '[\\1]')", "'ab'|regex_replace('a', 5)", r"'  a  b '|regex_replace('\\s+', ' ')", r"'xaxbx'|regex_replace('x*', '-')"]))

TEST_NAMES = "defined undefined none string number integer float boolean mapping sequence iterable true false odd even lower upper callable escaped filter test".split()
group("tests", wrap(f"{v} is {t}" for v in ["'a'", "''", "'A'", "1", "2", "1.0", "true", "none", "[]", "(1,)", "{}", "config.missing", "now_utc", "record.items", "'upper'", "config.nested.keys()", "now_utc()", "'x'|e"] for t in TEST_NAMES))
group("test arguments", wrap(["5 is divisibleby 5", "5 is divisibleby(2)", "5 is divisibleby 0", "1 is eq 1.0", "1 is equalto(2)", "1 is ne 1", "2 is gt 1", "2 is greaterthan 3", "2 is ge 2", "1 is lt 2", "1 is lessthan 0", "1 is le 1", "'a' is in 'abc'", "1 is in [1]", "1 is not in [1]", "none is sameas none", "true is sameas 1", "1 is sameas 1", "1 is not defined", "x is defined", "1 is nope", "'a' is lt 1", "1 is eq", "1 is eq(1, 2)", "1 is divisibleby", "none is none is true", "(none is none) is true", "1 is odd and 2 is even", "1 is odd or x", "not 1 is even", "-1 is odd", "1 + 1 is even", "'a' ~ 'b' is string", "record.id is number if true", "[1] is in [[1]]", "'1' is == '1'"]))

# L4: methods
TEXT_METHODS = "upper() lower() title() capitalize() swapcase() casefold() strip() lstrip() rstrip() strip('a') strip('/ ') split() split(',') split('l') split('l', 1) split(maxsplit=1) split(sep='o') split('') split(none) rsplit() rsplit('l', 1) rsplit(none, 1) splitlines() splitlines(true) partition('l') rpartition('l') partition('') replace('l', 'L') replace('l', 'L', 1) replace('', '.') replace('l') startswith('H') startswith('h') startswith(('x', 'H')) startswith('l', 2) endswith('d') endswith(['d']) find('l') find('z') rfind('l') index('z') index('o') find('l', 4) find('l', 0, 2) count('l') count('') count('ll') join(['a', 'b']) join('xyz') join([1]) join([]) zfill(20) zfill(2) center(21, '*') center(4) ljust(15, '.') rjust(15) rjust(15, 'ab') isdigit() isalpha() isalnum() isspace() islower() isupper() istitle() isnumeric() isdecimal() isidentifier() isascii() isprintable() expandtabs() expandtabs(2) removeprefix('He') removesuffix('ld') encode() encode('ascii') encode('utf-16x') format() format_map({}) nope() upper upper(1) upper(a=1) __len__() __class__ __class__.__name__ _x translate({108:'L'}) translate(''.maketrans('l','L')) maketrans('a','b')".split(") ")
TEXT_METHODS = [m if m.endswith(")") or "(" not in m else m + ")" for m in TEXT_METHODS]
TEXT_METHODS = [part for m in TEXT_METHODS for part in (m.split(" ") if m.startswith(("upper upper", "__class__ ", "_x ")) else [m])]
group("text methods", wrap(f"{v}.{m}" for v in ["'Hello World'", "'a,b , c\\t'", "'ünïcode 😀l'", "'-42'"] for m in TEXT_METHODS))
group("format method", wrap(["'{}'.format(1)", "'{0}-{1}-{0}'.format('a', 'b')", "'{a}'.format(a=1)", "'{:>5}|'.format('a')", "'{:<5}|'.format(1)", "'{:^7}|'.format('ab')", "'{:*^7}'.format('ab')", "'{:05d}'.format(-42)", "'{:+}'.format(5)", "'{:,}'.format(1234567)", "'{:_}'.format(1234567)", "'{:.2f}'.format(2.675)", "'{:10.3f}|'.format(3.14159)", "'{:e}'.format(12345.678)", "'{:g}'.format(1e10)", "'{:%}'.format(0.256)", "'{:.1%}'.format(0.256)", "'{:x}'.format(255)", "'{:#x}'.format(255)", "'{:08b}'.format(5)", "'{:c}'.format(65)", "'{:.2}'.format('abc')", "'{:d}'.format('a')", "'{:d}'.format(1.5)", "'{!r}'.format('a')", "'{!s:>4}'.format(1)", "'{!a}'.format('é')", "'{[a]}'.format({'a': 1})", "'{0.year}'.format(now_utc())", "'{0[0]}'.format([7])", "'{}{}'.format(1)", "'{} {0}'.format(1)", "'{'.format(1)", "'}'.format(1)", "'{{}}'.format(1)", "'{:%Y-%m}'.format(now_utc())", "'{:{}}'.format('a', 5)", "'{:>{w}}'.format('a', w=4)", "'{x}'.format(a=1)", "'{0.__class__}'.format(1)", "'{}'.format(none)", "'{:5}'.format(none)", "'{:5}'.format(true)", "'{}'.format([1, 'a'])", "'{a[b]}'.format(a={'b': 2})", "'{:n}'.format(5)", "'{:=+6}'.format(5)", "'{:z.1f}'.format(-0.01)", "'{:.0f}'.format(0.5)", "'{:.0f}'.format(1.5)", "'{:.3g}'.format(1234.5)", "'{:G}'.format(1e-10)", "'{:,.2f}'.format(1234567.891)", "'{:s}'.format(5)", "'{!x}'.format(5)", "'{:}'.format(5)", "'{a}'.format_map({'a': 5})", "'{:010,}'.format(1234)", "'%s' % 'a'", "'%s %s' % ('a', 1)", "'%(a)s' % {'a': 1}", "'%d%%' % 5", "'%.3f' % 2.0005", "'%5d|%-5d|' % (1, 2)", "'%x' % 'a'", "'%s' % [1]", "'%s' % (1,)", "'%s %s' % 1", "'%q' % 1", "'%' % 1", "'a' % 1", "'a' % {}", "'%s' % config.missing", "'%i' % true", "'%o' % 8", "'%#x' % 255", "'% d' % 5", "'%05d' % -3", "'%+.2e' % 12345", "'%G' % 1e-10", "'%r' % 'x'", "'%a' % 'é'", "'%c' % 'x'", "'%c' % 'xy'", "'%.2s' % 'abc'", "'%*d' % (5, 42)", "'%(a)d %(b)s' % {'a': 1}", "'%ld' % 5"]))
group("list methods", wrap(f"{v}.{m}" for v in ["[3, 1, 2]", "['b', 'a']", "[]", "(1, 2)"] for m in ["append(4)", "extend([5, 6])", "extend('ab')", "extend(1)", "insert(0, 9)", "insert('a', 1)", "pop()", "pop(0)", "pop(9)", "remove(1)", "remove(9)", "index(1)", "index(9)", "index(2, 1)", "count(1)", "sort()", "sort(reverse=true)", "sort(true)", "reverse()", "copy()", "clear()", "nope()", "append()", "nope"]))
group("dict methods", wrap(f"{v}.{m}" for v in ["{'a': 1, 'b': none}", "config", "record.owner", "stream_slice", "{}"] for m in ["get('a')", "get('b', 5)", "get('zz')", "get('zz', 'd')", "get()", "get('a', default=1)", "get([1])", "keys()", "values()|list|length", "items()|list|length", "keys()|list|first", "copy()|length", "pop('a')", "pop('zz')", "pop('zz', 1)", "setdefault('a', 2)", "setdefault('n', 2)", "update({'q': 1})", "update(q=1)", "update([('a', 1)])", "update(1)", "popitem()", "clear()", "fromkeys(['x'])", "fromkeys('ab', 1)", "nope()", "__len__", "keys().nope"]))
group("number methods", wrap(["5 .bit_length()", "(5).bit_length()", "5.0.is_integer()", "(2.5).is_integer()", "(5).real", "(5).denominator", "(0.5).as_integer_ratio()", "(255).bit_count()", "(5).nope", "(2.5).hex()", "true.real", "(5).conjugate()", "(1.5).real", "(2.0).imag", "none.x", "(5).__add__(1)", "(5)['real']"]))
group("sandbox", wrap(["config.__class__", "''.__class__.__mro__", "config.__init__", "[].__class__.__base__.__subclasses__()", "config['__class__']", "now_utc.__globals__", "''.join.__self__", "config.get.__func__", "(1).__class__", "config.__foo__", "config.constructor", "config.__proto__", "config['constructor']", "config.toString", "[].length", "'a'.length", "[].map", "'abc'.toUpperCase()", "config.hasOwnProperty('x')", "record.prototype", "'{0.__class__.__init__}'.format(config)", "config|attr('__class__')", "config|map(attribute='__class__')|list", "namespace(a=1).__class__", "namespace.__init__", "dict.__class__", "cycler.__init__.__globals__", "self.__init__", "config.__class__ is defined", "config.__class__|default('d')", "config.__class__ ~ 'x'", "config._private", "record._id", "config.nested._id", "joiner.__init__"]))
group("sandbox as strings", wrap(["config.__class__", "config['__class__']", "''.__class__.__mro__", "config.__foo__"]), mode="string")

# L5: statements
group("statements", """{% if record.id > 5 %}big{% else %}small{% endif %}
{% if config.missing %}a{% elif record.id == 17 %}b{% else %}c{% endif %}
{% if false %}a{% endif %}
{% if false %}a{% endif %}|
{% if 1 %}{% if 0 %}x{% else %}y{% endif %}{% endif %}
{% if 1, %}x{% endif %}
{% set x = 5 %}{{ x }}
{% set x, y = 1, 2 %}{{ x + y }}
{% set (x, y) = [1, 2] %}{{ x }}-{{ y }}
{% set x, y = [1] %}{{ x }}
{% set x, y = 5 %}{{ x }}
{% set x = 1 %}{% set x = x + 1 %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% if false %}{% set x = 2 %}{% endif %}{{ x }}
{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% set x %}a{{ 1 }}b{% endset %}{{ x }}
{% set x | upper %}abc{% endset %}{{ x }}
{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}
{% set config = {'api_key': 'mine'} %}{{ config.api_key }}
{% set ns = namespace(total=0) %}{% for l in record.lines %}{% set ns.total = ns.total + l.qty %}{% endfor %}{{ ns.total }}
{% set ns = namespace(a=1, b=2) %}{{ ns.a }}{{ ns.c }}
{% set ns = namespace({'a': 1}) %}{% set ns.a, ns.b = 5, 6 %}{{ ns.a + ns.b }}
{% set record.id = 5 %}{{ record.id }}
{% set x = 0 %}{% for i in [1, 2] %}{% set x = x + i %}{% endfor %}{{ x }}
{% set l = [] %}{% for i in [1, 2] %}{% set _ = l.append(i * 2) %}{% endfor %}{{ l }}
{% set l = [] %}{% for i in record.lines %}{{ l.append(i.sku) or '' }}{% endfor %}{{ l|join(',') }}
{% for i in [1, 2, 3] %}{{ i }}{% endfor %}
{% for i in [1, 2, 3] %}{{ i }},{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}
{% for i in config.missing %}x{% else %}empty{% endfor %}
{% for i in none %}x{% endfor %}
{% for i in 5 %}x{% endfor %}
{% for c in 'aé😀' %}[{{ c }}]{% endfor %}
{% for k in record.owner %}{{ k }};{% endfor %}
{% for k, v in record.owner.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in record.owner|dictsort %}{{ k }};{% endfor %}
{% for k, v in [[1, 2], [3, 4]] %}{{ k * v }} {% endfor %}
{% for k, v in [1] %}{{ k }}{% endfor %}
{% for k, (a, b) in [[1, [2, 3]]] %}{{ k }}{{ a }}{{ b }}{% endfor %}
{% for i in [1, 2, 3, 4] if i is even %}{{ loop.index }}:{{ i }} {% endfor %}
{% for i in [1, 2, 3, 4] if i is even %}{{ loop.length }}{% endfor %}
{% for i in [1] if i > 5 %}x{% else %}none{% endfor %}
{% for i in ['a', 'b', 'c'] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}
{% for i in ['a', 'b', 'c'] %}{{ loop.cycle('x', 'y') }}{% endfor %}
{% for i in ['a', 'b', 'c'] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}
{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}
{% for i in [1, 2] %}{% for j in [3, 4] %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% for i in [1, 2] %}{% set outer = loop %}{% for j in [3, 4] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}
{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{% endif %}{{ loop.depth }}{% endfor %}
{% for i in [1, 2] %}{{ loop }}{% endfor %}
{% for i in [1, 2] %}{{ loop(i) }}{% endfor %}
{% for loop in [1] %}{% endfor %}
{% for i in [1, 2] %}{% set i = 5 %}{{ i }}{% endfor %}{{ i }}
{% set i = 9 %}{% for i in [1] %}{{ i }}{% endfor %}{{ i }}
{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}
{% for i in [1] %}{% break %}{% endfor %}
{% for i in range(3) %}{{ i }}{% endfor %}
{% for i in [1, 2]|map('string') %}{{ loop.last }}{{ i }}{% endfor %}
{% for g in record.lines|groupby('qty') %}{{ g.grouper }}:{{ g.list|length }} {% endfor %}
{% for g, l in record.lines|groupby('qty') %}{{ g }}{{ l|length }} {% endfor %}
{% for i in [3, 1]|sort %}{{ i }}{% endfor %}
{%- if true -%} x {%- endif -%}
a {%- if true %} x {% endif -%} b
a {% if true -%} x {%- endif %} b
a{{- ' b ' -}}c
a {{- 'b' }} c
a {{ 'b' -}} c
a {{+ 'b' }}
a {%+ if true %}x{% endif %}
a {% if true +%} x{% endif %}
{# comment #}x
a {#- comment -#} b
{# {{ 1 }} #}5
{# unclosed
{% raw %}{{ x }}{% endraw %}
{%- raw -%} {{ x }} {%- endraw -%}
{% raw %}{{ x }}
{% with x = 1, y = 2 %}{{ x + y }}{% endwith %}{{ x }}
{% with %}{% set z = 3 %}{{ z }}{% endwith %}
{% with a = 1 %}{% with b = a %}{{ b }}{% endwith %}{% endwith %}
{% macro m(a, b=2) %}{{ a }}+{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=6) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}|{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}
{% macro m(x) %}{% if x > 0 %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(3) }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}
{% macro m() %}{{ caller(5) }}{% endmacro %}{% call(v) m() %}{{ v * 2 }}{% endcall %}
{% macro m() %}x{% endmacro %}{{ m.name }}{{ m.arguments }}
{% macro m() %}{{ config.api_key }}{% endmacro %}{{ m() }}
{% macro m(a=config.zero) %}{{ a }}{% endmacro %}{{ m() }}
{% filter upper %}abc{{ 'd' }}{% endfilter %}
{% filter replace('a', 'b') | upper %}abc{% endfilter %}
{% block b %}x{{ config.zero }}{% endblock %}
{% block b %}x{% endblock %}{{ self.b() }}
{% block b %}{% endblock %}{% block b %}{% endblock %}
{% set v = 1 %}{% block b %}{{ v }}{% endblock %}
{% print 5 %}
{% print 1, 2 %}
{% include 'x' %}
{% extends 'x' %}
{% import 'x' as y %}
{% from 'x' import y %}
{% do 1 %}
{% unknown %}
{% if %}x{% endif %}
{% if true %}x
{% endif %}
{% for %}{% endfor %}
{% for i [1] %}{% endfor %}
{% set 5 = x %}
{% set x %}
{% set true = 1 %}
{{ }}
{{ 1
{{ 1 }
{{ (1 }}
{{ 1) }}
{{ [1, 2 }}
{{ 'abc }}
{{ a b }}
{{ 1 2 }}
{{ 1 + }}
{{ + }}
{{ .a }}
{{ a. }}
{{ a['x' }}
{{ a..b }}
{{ 1 if }}
{{ 1 | }}
{{ 1 | 5 }}
{{ 1 is }}
{{ not }}
{{ f(a b) }}
{{ f(a=1, 2) }}
{{ f(**{}, *[]) }}
{{ x ! y }}
{{ x & y }}
{{ $x }}
{{ {'a' 1} }}
{{ {1, 2} }}
{{ lambda x: x }}
{{ [x for x in y] }}
{{ x = 1 }}
{{ x := 1 }}
{{ "a" "b }}
{{ 'a\\' }}
}} {{ 1 }} {
{ { 1 } }
{{ '}}' }}
{{ "{{" }}
{{ {'a': {'b': 1}}['a']['b'] }}
{{ {'a': {}} }}
{{- 5 -}}
{{ 5 }}{{ 6 }}
{{ 5 }} {{ 6 }}
{{ 5 }},{{ 6 }}
[{{ 5 }}, "{{ 'a' }}"]
{'a': {{ record.id }}}
{"k": {{ config.enabled }}}
{{ config.ids }}{{ config.ids }}
{{ max(*[1, 5, 3]) }}
{{ max(1, *[7]) }}
{{ dict(**{'a': 1}) }}
{{ dict(a=1, **{'a': 2}) }}
{{ max(*5) }}
{{ dict(**5) }}
{{ format_datetime(**{'dt': '2024-01-01', 'format': '%Y'}) }}
{{ config.get('ids').append(9) }}{{ config.ids }}
{{ config.update({'zero': 5}) }}{{ config.zero }}
{{ config.ids.sort() }}{{ config.ids }}
{{ (record.id, record.name) }}
{{ record.id, record.name }}
{{ stream_state }}
stream_state
{{ config.stream_state }}
{{ config.names | map('lower') | unique | list | sort | join('/') }}
{{ record.created_at.split('T')[0].replace('-', '') | int }}
{{ (response.next | regex_search('page=(\\\\d+)') | int) + 1 }}
{{ response.meta.page + 1 if response.meta.page < response.meta.total_pages else '' }}
{{ headers['Link'].split(';')[0][1:-1] }}
{{ now_utc().strftime('%Y-%m-%dT%H:%M:%SZ') if not config.end_dates else config.end_dates }}
{{ config['start_date'] | default('2020-01-01', true) }}
{{ ' '.join(['Bearer', config.api_key]) }}
{{ ('user:' ~ config.api_key) | base64encode }}
{{ stream_slice['start_time'][:10] }}
{{ (str_to_datetime(stream_interval.start_time) + duration('P1D')).strftime('%Y-%m-%d') }}
{{ (now_utc() - duration('PT1H')).timestamp() | int * 1000 }}
{{ format_datetime((now_utc() - duration('P30D')).strftime('%Y-%m-%d'), '%s') | int }}
{{ config.ids | join(',') if config.ids else none }}
{{ record | tojson | hash('md5') }}
{{ last_page_size == 100 and response.data | length }}
{{ response.get('cursor', {}).get('next') }}
{{ response.get('meta', {}).get('page', 0) }}
{{ response and response.has_more }}
{{ 'since=' ~ config.start_date if config.start_date else '' }}
{{ last_record['id'] if last_record else None }}
{{ {'a': config.ids}['a'] | max }}
{{ config.domain | lower | replace(' ', '-') ~ '.example.com' }}
{{ [config.ids, config.names] | sum(start=[]) | length }}
{{ record.tags | select | list | length }}
{{ record.lines | selectattr('ok', 'defined') | map(attribute='price') | sum | round(2) }}
{{ timestamp(record.created_at) | int }}
{{ day_delta(-1, format='%Y-%m-%d') }}T00:00:00Z""".split("\n"), contexts=("api", "odd"))
group("multi-line", ["{% if true %}\n x\n{% endif %}\n", "a\n{{ 1 }}\n", "{{\n1\n+\n2\n}}", "line1\r\nline2", "{% for i in [1,2] %}\n  {{ i }}\n{% endfor %}", "{%- for i in [1,2] %}\n  {{- i }}\n{%- endfor %}", "\n{{ 1 }}", "{{ 1 }}\n\n", "{# c\n #}\n{{ 2 }}", "{% raw %}\n{{ x }}\n{% endraw %}", "  {{ 'a' }}  ", "\n\n", " ", ""])
group("statements as strings", ["{% if false %}x{% endif %}", "{% if config.missing %}a{% endif %}", "{% set x = 1 %}", "plain", "", "{{ none }}", "{{ '' }}", "{# c #}", "5", "True", "[1]"], mode="string")
group("booleans", wrap(["true", "false", "none", "0", "0.0", "-0.0", "'0'", "'0.0'", "'false'", "'False'", "'no'", "''", "' '", "[]", "()", "{}", "'[]'", "'()'", "'{}'", "[0]", "'set()'", "'null'", "record.id > 5", "record.id < 5", "record.deleted", "'x' in record", "record['price'] == 19.99", "not record", "config.ids", "{'a': 1}", "b", "1/0", "'a' < 1", "record.x.y", "record.tags and record.id"]) + ["true", "false", "True", "False", "{}", "set()", "", "0", "yes", "{% if 1 %}False{% endif %}"], mode="boolean")
group("nested", [{"a": "{{ config.page_size }}", "b": {"{{ 'k' }}": "{{ none }}", "c": ["{{ 1 }}", "x", 5, None]}}, ["{{ config.ids }}", {"x": "{{ config.missing }}"}], "{{ 5 }}", 5, None, {"{{ 1 }}": "a", "x": "b"}, {"a": "{{ none }}"}, {"q": {"z": "{{ '' }}"}}, {"f": "SELECT {{ parameters.name }}"}], mode="nested")
group("mapping", [{"a": "{{ config.page_size }}", "{{ parameters.name }}": "{{ record.id }}"}, {"{{ 5 }}": "{{ '5' }}"}, {"a": 5, "b": None, "c": ["{{ 1 }}"]}, {"a": "{{ config.missing }}"}, {"a": "{{ none }}"}], mode="mapping")


def cases():
    """Every case once: (context, mode, expression)."""
    seen = set()
    for _, mode, contexts, expressions in GROUPS:
        for expression in expressions:
            for context in contexts:
                key = (context, mode, repr(expression))
                if key not in seen:
                    seen.add(key)
                    yield context, mode, expression
