"""Random expressions from a grammar, with the CDK's outcomes, as JSON lines on stdout.

PYTHONHASHSEED=0 python fuzz.py SEED COUNT [text|pieces] > cases.jsonl && node fuzz_compare.ts contexts.json cases.jsonl

With `text`, texts like Python literals, to compare how results are read; with `pieces`, pieces of templates in any order, to
compare what is refused.
"""

import copy
import json
import random
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

from cdk import build, evaluate

rng = random.Random(int(sys.argv[1]))
CONTEXTS = json.loads((Path(__file__).parent / "contexts.json").read_text())

PATHS = """config.api_key config['start_date'] config.end_date config.domain config['page_size'] config.ratio config.enabled
config.disabled config.none config.empty config.zero config.ids config.names config.nested config.nested.a.b
config.nested.a.b[1].c config.nested._id config.numeric_string config.json_string config.unicode config.html config.path
config.big config.missing parameters.name parameters['missing'] record.id record.name record.price record.tags
record.created_at record.updated record.deleted record.owner record.owner.name record.owner['roles'] record.lines record.text
record.camelCaseField response.data response.next response.has_more response.meta.page response.meta response.links.next
headers.Link headers['X-Total'] next_page_token next_page_token.next_page_token last_record last_record.id last_record['ts']
last_page_size stream_slice stream_slice.account stream_interval.start_time stream_partition['account'] stream_slice.extra_fields
record.lines[0] record.lines[-1].sku record.lines[9] response[0] config.ids[1] config.names[0]""".split()
LITERALS = """0 1 -1 2 3 7 10 255 -12 1000000 12345678901234567890 2.5 0.1 -0.5 1e3 1.0 100.25 1e16 1e-7 0x1F 0b101 1_000 ''
'a' 'abc' "A b" 'x,y,z' '12' '3.7' ' pad ' 'é' '😀k' 'a/b?c=d&e' '%Y-%m-%d' '2024-03-10' '2024-03-10T12:30:45Z' '%s' '{}' '{0}-{1}'
true false none None True [] [1,2,3] ['b','a'] [1,'a',none] () (1,) (1,2) {} {'a':1} {'k':[1]} {1:2,'x':none} [[1,2],[3]] 'True' '[1]'""".split()
LITERALS += ["'a b  c'", "'Line one\\nline two'", "'\\t'", "'it\\'s'", "\"q'\"", "{'b': 1, 'a': {'z': 1.5}}", "[{'n': 1}, {'n': 0}]"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
FILTERS = """abs capitalize count d default dictsort e escape first float forceescape int items join last length list lower
max min reverse round safe sort string striptags sum title tojson trim unique upper urlencode wordcount base64encode hash
base64decode items|list map('int')|list map('upper')|join select|list reject|list pprint xmlattr filesizeformat center
default('x') default('x',true) d(1) join(',') join('-')|upper round(1) round(2,'floor') round(0,'ceil') int(7) int(0,16) float(1.5)
replace('a','b') replace('a','b',1) truncate(5) truncate(5,true) truncate(7,false,'~',0) indent indent(2,true) batch(2)|list slice(2)|list
batch(2,'z')|list slice(3,'f')|list sort(reverse=true) sort(attribute='qty') sort(false,true) map(attribute='id')|list
map(attribute='sku')|join(',') map(attribute='ok',default='?')|list selectattr('ok')|list selectattr('qty','gt',1)|list
rejectattr('ok')|list selectattr('qty','equalto',2)|map(attribute='sku')|list groupby('ok')|list groupby('qty')|list sum(attribute='qty')
sum(attribute='price') sum(start=10) unique|list unique(true)|list unique(attribute='ok')|list min(attribute='qty') max(attribute='price')
dictsort(true) dictsort(by='value') dictsort(reverse=true) hash('sha256') hash('sha1','salt') hmac('key') regex_search('([a-z]+)')
regex_search('(\\d+)') regex_search('x') regex_replace('[aeiou]','*') regex_replace('(\\w)(\\w)','\\2\\1') tojson(2) format(1)
format('a','b') attr('id') attr('upper') attr('items') wordwrap(4) wordwrap(6,false) reverse|list last|string first|int
select('string')|list select('number')|list select('odd')|list select('in',[1,2])|list map('default','z')|list map('length')|list
reject('none')|list select('divisibleby',3)|list map('string')|list list|tojson list|length trim('/') trim('a ') urlize""".split()
TESTS = """defined undefined none string number integer float boolean mapping sequence iterable true false odd even lower upper callable
in([1,2]) in('abc') eq(1) ne(2) gt(1) lt(5) ge(2) le(3) sameas(none) sameas(true) divisibleby(2) equalto('a') escaped filter test""".split()
METHODS = """get('id') get('missing') get('missing','d') get('a',1) keys() values() items() keys()|list values()|list items()|list
split(',') split() split(' ',1) rsplit('/',1) upper() lower() title() capitalize() swapcase() strip() strip('/') lstrip() rstrip('a')
replace('a','X') replace('','-') startswith('a') endswith(('z','/')) find('b') rfind('a') index('a') count('a') join(['x','y'])
zfill(6) center(9,'*') ljust(5,'.') rjust(7) isdigit() isalpha() isalnum() isspace() islower() isupper() istitle() isnumeric()
partition('-') rpartition('/') splitlines() expandtabs(4) removeprefix('a') removesuffix('c') format(1,2) format(a=1) encode()
casefold() isoformat() strftime('%Y') append(4) pop() pop(0) insert(0,'i') extend([5]) remove(1) reverse() sort() copy() clear()
update({'n':1}) setdefault('k',2) bit_length() is_integer() as_integer_ratio() total_seconds() nosuch() timestamp() date() upper""".split()
ATTRS = "id name items keys real imag days year missing __class__ _x _id a numerator seconds".split()
DATES = """now_utc() today_utc() str_to_datetime('2024-03-10') str_to_datetime('2023-12-31T23:59:59.5+05:30') str_to_datetime(config.start_date)
str_to_datetime(record.created_at) now_utc().date() now_utc().replace(day=1) (now_utc()-duration('P1D')) (today_utc()-duration('P1M'))""".split()
DURATIONS = "P1D P1M P1Y PT1H P1W P2DT3H PT0.5S P0D -P1D P1Y2M3DT4H5M6S P30D PT15M P1.5D P13M P0.5M".split()
FORMATS = """%Y-%m-%d %Y-%m-%dT%H:%M:%SZ %Y-%m-%dT%H:%M:%S.%fZ %s %ms %s_as_float %epoch_microseconds %Y-%m-%dT%H:%M:%S.%_msZ %d/%m/%y %H:%M %j %U-%W %A,%B
%a%b%d %I%p %Y%m%d %z %Z %c %x %X %G-W%V-%u %e %-d %y %% %C %f %D %F %T %R %h %n""".split()


def atom(depth):
    k = rng.random()
    if k < 0.5:
        return rng.choice(PATHS)
    if k < 0.9:
        return rng.choice(LITERALS)
    return dated(depth)


def dated(depth):
    k = rng.randrange(12)
    d = rng.choice(DATES)
    if k == 0:
        return d
    if k == 1:
        return f"{d}.strftime('{rng.choice(FORMATS)}')"
    if k == 2:
        return f"({d} {rng.choice('+-')} duration('{rng.choice(DURATIONS)}'))"
    if k == 3:
        return f"format_datetime({expr(depth - 1)}, '{rng.choice(FORMATS)}')"
    if k == 4:
        return f"format_datetime({rng.choice(DATES)}, '{rng.choice(FORMATS)}')"
    if k == 5:
        return f"timestamp({rng.choice([d, expr(depth - 1)])})"
    if k == 6:
        return f"day_delta({rng.choice(['1', '-1', '0', '-7', '1.5', expr(depth - 1)])}, format='{rng.choice(FORMATS)}')"
    if k == 7:
        return f"({d} - {rng.choice(DATES)}).{rng.choice(['days', 'seconds', 'total_seconds()', 'microseconds', 'max'])}"
    if k == 8:
        return f"{d}.{rng.choice(['year', 'month', 'day', 'hour', 'minute', 'second', 'microsecond', 'tzinfo', 'isoformat()', 'weekday()', 'isoweekday()', 'timestamp()', 'date()', 'isocalendar()', 'toordinal()', 'ctime()', 'utcoffset()', 'tzname()'])}"
    if k == 9:
        return f"duration({rng.choice([repr(rng.choice(DURATIONS)), expr(depth - 1)])})"
    if k == 10:
        return f"{rng.choice(['max', 'min'])}({expr(depth - 1)}, {expr(depth - 1)})"
    return f"format_datetime({rng.choice(['record.updated', 'config.end_date', 'config.start_date', '1700000000', '1700000000123'])}, '{rng.choice(FORMATS)}', '{rng.choice(['%Y-%m-%d', '%s', '%ms', '%Y-%m-%dT%H:%M:%SZ'])}')"


def expr(depth):
    if depth <= 0:
        return atom(depth)
    k = rng.randrange(26)
    if k < 5:
        return atom(depth)
    if k < 8:
        return f"{expr(depth - 1)} {rng.choice(BINARY)} {expr(depth - 1)}"
    if k < 10:
        return f"({expr(depth - 1)} {rng.choice(BINARY)} {expr(depth - 1)})"
    if k < 14:
        return f"{wrap(depth)}|{rng.choice(FILTERS)}"
    if k < 17:
        return f"{wrap(depth)}.{rng.choice(METHODS)}"
    if k == 17:
        return f"{wrap(depth)} is {rng.choice(['', 'not '])}{rng.choice(TESTS)}"
    if k == 18:
        return f"{expr(depth - 1)} if {expr(depth - 1)}" + (f" else {expr(depth - 1)}" if rng.random() < 0.8 else "")
    if k == 19:
        parts = [rng.choice(["", "1", "-2", "0", "-1", "10", "3"]) for _ in range(rng.choice([2, 2, 3]))]
        return f"{wrap(depth)}[{':'.join(parts)}]"
    if k == 20:
        return f"{wrap(depth)}[{rng.choice(['0', '-1', '1', repr(rng.choice(ATTRS)), expr(depth - 1)])}]"
    if k == 21:
        return f"{wrap(depth)}.{rng.choice(ATTRS)}"
    if k == 22:
        return rng.choice(["not ", "-", "+", "not -"]) + wrap(depth)
    if k == 23:
        items = [expr(depth - 1) for _ in range(rng.randrange(4))]
        return rng.choice(["[%s]", "(%s,)" if items else "(%s)"]) % ", ".join(items)
    if k == 24:
        return "{%s}" % ", ".join(f"{expr(0)}: {expr(depth - 1)}" for _ in range(rng.randrange(3)))
    return dated(depth)


def wrap(depth):
    inner = expr(depth - 1)
    return inner if rng.random() < 0.5 else f"({inner})"


def template(depth):
    k = rng.randrange(20)
    if k < 12:
        return "{{ " + expr(depth) + " }}"
    if k == 12:
        return rng.choice(["p-", "[", "'", "/v1/", ""]) + "{{ " + expr(depth) + " }}" + rng.choice(["", "]", "'", "-s", " "])
    if k == 13:
        return "{{ " + expr(depth - 1) + " }}" + rng.choice(["", ",", "-", " "]) + "{{ " + expr(depth - 1) + " }}"
    if k == 14:
        return "{% if " + expr(depth - 1) + " %}" + "{{ " + expr(depth - 1) + " }}" + rng.choice(["", "{% elif " + expr(1) + " %}b"]) + rng.choice(["", "{% else %}c"]) + "{% endif %}"
    if k == 15:
        return "{% set x = " + expr(depth - 1) + " %}{{ x " + rng.choice(["", "|" + rng.choice(FILTERS), "." + rng.choice(METHODS), "~ x"]) + " }}"
    if k == 16:
        cond = rng.choice(["", " if x", " if loop is defined"])
        body = rng.choice(["{{ x }}", "{{ loop.index }}{{ x }}", "{{ x }}{% if not loop.last %},{% endif %}", "{{ loop.revindex0 }}", "{{ loop.previtem }}", "{% set y = x %}{{ y }}", "{{ loop.cycle('a','b') }}", "{{ x|string }}"])
        return "{% for x in " + expr(depth - 1) + cond + " %}" + body + rng.choice(["", "{% else %}none"]) + "{% endfor %}"
    if k == 17:
        return "{% set ns = namespace(t=0) %}{% for x in " + expr(1) + " %}{% set ns.t = ns.t + " + rng.choice(["1", "x", "x|int", "x|length"]) + " %}{% endfor %}{{ ns.t }}"
    if k == 18:
        return "{% macro m(a, b=" + expr(0) + ") %}{{ a }}/{{ b }}{% endmacro %}{{ m(" + expr(1) + rng.choice(["", ", " + expr(1), ", b=" + expr(0)]) + ") }}"
    return "{%- set l = [] -%} {%- for k, v in " + rng.choice(["record.owner.items()", "config.nested|dictsort", "record|items", "response.meta.items()", expr(1)]) + " -%} {{ k }}={{ v }}; {%- endfor -%}"


TOKENS = """1 12 007 0 1.5 .5 5. 1e3 1_0 1__0 0x1f 0b11 0o7 0b2 1j 2.5j 'a' "b" \'\'\'c\'\'\' b'x' r'\\n' u'u' f'f' 'a\\n' '\\x41' '\\q' True False None true null
nan ... [ ] ( ) { } , : + - * . # # \\ = set() set abc é _ ' \" [1] (1,) {1:2} {} () [] {'a':1} {1,2} 2024-01-01 1,2""".split() + [" ", " ", "\n", "\t", "\n ", "", "\f", "\r"]
PIECES = """{{ }} {{- -}} {% %} {%- -%} {# #} {{ }} {{ }} if else elif endif for in endfor set endset x y config record.id 1 'a' "b" ( ) [ ] { } , : . | ~ + - *
/ // % ** == != < <= = not and or is defined none true upper join(',') default('z') loop.index recursive raw endraw macro endmacro m() with endwith
filter endfilter call endcall block endblock print text 1.5 1_0 'it\'s' \\ @ ! ? é""".split() + [" ", " ", "\n", "  "]


def literal_text():
    return "".join(rng.choice(TOKENS) for _ in range(rng.randrange(1, 7)))


def pieces():
    inner = rng.choice(["", " "]).join(rng.choice(PIECES) for _ in range(rng.randrange(1, 8)))
    return rng.choice(["{{ %s }}", "{%% %s %%}", "%s", "{%% if 1 %%}%s{%% endif %%}", "{%% for x in [1,2] %%}%s{%% endfor %%}", "{{ %s }}"]) % inner


def main():
    kind = sys.argv[3] if len(sys.argv) > 3 else ""
    for _ in range(int(sys.argv[2])):
        name = "odd" if rng.random() < 0.15 else "api"
        text = literal_text() if kind == "text" else pieces() if kind == "pieces" else template(rng.choice([1, 2, 2, 3, 3, 4]))
        mode = rng.choice(["plain"] * 6 + ["string", "boolean", "text"])
        outcome = evaluate(mode, text, build(copy.deepcopy(CONTEXTS[name])))
        print(json.dumps([name, mode, text, outcome]))


main()
