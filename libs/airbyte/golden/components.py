"""Writes src/manifest/components.json: the CDK's component schema without descriptions, examples and defaults.

pip install airbyte-cdk==7.39.1 && python components.py
"""

import importlib.resources
import json
from pathlib import Path

import yaml

KEPT = {
    "type", "enum", "required", "properties", "items", "anyOf", "oneOf", "$ref", "minItems", "minimum",
    "exclusiveMinimum", "additionalProperties", "uniqueItems", "const",
}  # fmt: skip


def strip(node):
    if isinstance(node, dict):
        return {
            key: {name: strip(value) for name, value in part.items()} if key == "properties" else strip(part)
            for key, part in node.items()
            if key in KEPT
        }
    return [strip(item) for item in node] if isinstance(node, list) else node


source = importlib.resources.files("airbyte_cdk.sources.declarative") / "declarative_component_schema.yaml"
schema = yaml.safe_load(source.read_text())
definitions = {"DeclarativeSource": schema, **schema["definitions"]}
comment = "Component schema of airbyte-cdk 7.39.1 (MIT licence, copyright Airbyte, Inc.) without descriptions; written by golden/components.py."
document = {"$comment": comment, "definitions": {name: strip(node) for name, node in definitions.items()}}
target = Path(__file__).parent.parent / "src" / "manifest" / "components.json"
target.write_text(json.dumps(document, indent=1) + "\n")
