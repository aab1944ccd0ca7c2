"""Writes golden.json: what the CDK makes of the expressions in expressions.py.

pip install airbyte-cdk==7.39.1 && PYTHONHASHSEED=0 python generate.py
"""

import copy
import json
import re
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

from cdk import build, evaluate
from expressions import cases

HERE = Path(__file__).parent
CONTEXTS = json.loads((HERE / "contexts.json").read_text())
ADDRESS = re.compile(r" at 0x[0-9a-f]+>")

# Where Tributary differs on purpose: see `differences` in the tests.
DELIBERATE = {"{{ config.unicode|tojson }}", "{{ stream_slice.items }}"}

rows = []
distinct = set()
for context, mode, expression in cases():
    outcome = evaluate(mode, expression, build(copy.deepcopy(CONTEXTS[context])))
    if ADDRESS.search(str(outcome[1:])) or outcome[0] == "slow" or str(expression) in DELIBERATE:
        continue  # an address is different every time
    rows.append([context, mode, expression, outcome])
    distinct.add(repr(expression))
(HERE / "golden.json").write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
print(f"{len(rows)} cases, {len(distinct)} distinct expressions", file=sys.stderr)
