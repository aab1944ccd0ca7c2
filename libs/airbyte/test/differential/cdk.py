"""Runs manifests with airbyte-cdk: one JSON request a line on standard input, one JSON reply a line on standard output.

Time stands still, nothing sleeps, and every request goes to one local server, which is told the address that was meant.
"""

import base64
import copy
import datetime as real
import json
import logging
import math
import os
import sys
import tempfile
import time

os.environ["TZ"] = "UTC"
time.tzset()
replies = os.fdopen(os.dup(1), "w")
# What the CDK prints itself is no reply.
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
logging.disable(logging.CRITICAL)



class Printed:
    """What the CDK prints itself: changed configs."""

    def __init__(self):
        self.controls = []

    def write(self, text):
        for line in text.splitlines():
            if '"CONTROL"' in line:
                self.controls.append(json.loads(line)["control"]["connectorConfig"]["config"])

    def flush(self):
        pass


printed = sys.stdout = Printed()

import requests
import yaml

real_sleep = time.sleep
time.sleep = lambda seconds: real_sleep(min(seconds, 0.002))

import airbyte_cdk.sources.declarative.concurrent_declarative_source as source_module
from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
    AirbyteMessageSerializer,
    Type,
)
from airbyte_cdk.sources.declarative.interpolation import macros
from airbyte_cdk.sources.utils.schema_helpers import check_config_against_spec_or_exit
from airbyte_cdk.sources.utils import files_directory
from airbyte_cdk.utils import datetime_helpers

NOW = real.datetime(2024, 2, 29, 13, 14, 15, 167089, tzinfo=real.timezone.utc)


class _Meta(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real.datetime)

    def __getattr__(cls, name):
        return getattr(real.datetime, name)


class _Clock(metaclass=_Meta):
    @staticmethod
    def now(tz=None):
        return NOW.replace(tzinfo=None) if tz is None else NOW.astimezone(tz)


import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

macros.datetime = types.SimpleNamespace(datetime=_Clock, timezone=real.timezone, timedelta=real.timedelta, date=real.date)
from airbyte_cdk.sources.declarative.auth import token as token_module
from airbyte_cdk.sources.declarative.parsers import model_to_component_factory as factory_module

factory_module.datetime = macros.datetime
frozen = datetime_helpers.AirbyteDateTime.from_datetime(NOW)
original_now = datetime_helpers.ab_datetime_now
for module in list(sys.modules.values()):
    if getattr(module, "ab_datetime_now", None) is original_now:
        module.ab_datetime_now = lambda: frozen

# Authenticators in Python, under the names that manifests give them.
import custom

from airbyte_cdk.sources.declarative.models.declarative_component_schema import CustomStateMigration
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory
from airbyte_cdk.sources.declarative.schema import json_file_schema_loader


class NoMigration:
    """State of an older connector, which is not there."""

    def should_migrate(self, stream_state):
        return False

    def migrate(self, stream_state):
        return stream_state


original_custom = ModelToComponentFactory.create_custom_component


def create_custom_component(self, model, config, **kwargs):
    return NoMigration() if isinstance(model, CustomStateMigration) else original_custom(self, model, config, **kwargs)


ModelToComponentFactory.create_custom_component = create_custom_component
original_class = ModelToComponentFactory._get_class_from_fully_qualified_class_name


def known_class(name):
    """Whatever the connector's package is called."""
    return getattr(custom, name.split(".")[-1], None) or original_class(name)


ModelToComponentFactory._get_class_from_fully_qualified_class_name = staticmethod(known_class)

folder = {"path": ""}


class Files:
    """Schema files stand beside the manifest, or beside its package."""

    @staticmethod
    def get_data(resource, path):
        here = folder["path"]
        for root in (here, os.path.dirname(here)):
            file = os.path.join(root, resource, path)
            if os.path.exists(file):
                return open(file, "rb").read()
        raise FileNotFoundError(path)


json_file_schema_loader.pkgutil = Files
json_file_schema_loader.JsonFileSchemaLoader._resolve_schema_references = lambda self, raw_schema: raw_schema

server = {"base": ""}
original_send = requests.adapters.HTTPAdapter.send


def send(self, request, **kwargs):
    meant = request.url
    request.url = server["base"] + "/"
    request.headers["X-Meant-Url"] = meant
    try:
        response = original_send(self, request, **kwargs)
    finally:
        request.url = meant
        request.headers.pop("X-Meant-Url", None)
    response.url = meant
    return response


requests.adapters.HTTPAdapter.send = send


def dump(message):
    return AirbyteMessageSerializer.dump(message)


kept = {}


def manifest_in(file):
    """The runs of a manifest follow each other: it is read once."""
    if file not in kept:
        kept.clear()
        # libyaml's reader makes of a document what safe_load makes of it.
        with open(file, encoding="utf-8") as text:
            kept[file] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return copy.deepcopy(kept[file])


def run(job):
    server["base"] = job["base"]
    # Kept for the life of the process, which is that of one run with a connector.
    token_module.get_new_session_token.cache_clear()
    folder["path"] = os.path.dirname(job["file"])
    manifest = manifest_in(job["file"])
    if job["nested"]:
        manifest = manifest["manifest"]
    # Streams whose classes are not here.
    for setting, indices in job.get("without", {}).items():
        manifest[setting] = [item for index, item in enumerate(manifest[setting]) if index not in indices]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["REQUEST_CACHE_PATH"] = cache
        files_directory.AIRBYTE_STAGING_DIRECTORY = cache
        config = job["config"]
        state = [AirbyteStateMessageSerializer.load(item) for item in job["state"]]
        out = {"streams": None, "check": None, "records": {}, "states": {}, "incomplete": [], "error": None}

        def make(catalog=None):
            source = source_module.ConcurrentDeclarativeSource(
                catalog=catalog, config=copy.deepcopy(config), state=state, source_config=copy.deepcopy(manifest)
            )
            if "spec" in manifest:
                # As the command line of a connector does before anything else.
                check_config_against_spec_or_exit(config, source.spec(logging.getLogger("airbyte")))
            return source

        try:
            logger = logging.getLogger("airbyte")
            if job["verb"] == "check":
                answer = make().check(logger, config)
                out["check"] = answer.status.value
                out["error"] = (answer.message or "")[:500] or None
            elif job["verb"] == "discover":
                catalog = make().discover(logger, config)
                out["streams"] = [dump_stream(stream) for stream in catalog.streams]
            else:
                streams = make().discover(logger, config).streams
                catalog = ConfiguredAirbyteCatalogSerializer.load(
                    {
                        "streams": [
                            {
                                "stream": dump_stream(s),
                                "sync_mode": "incremental" if len(s.supported_sync_modes) > 1 else "full_refresh",
                                "destination_sync_mode": "append",
                            }
                            for s in streams
                        ]
                    }
                )
                job["mark"]()
                printed.controls.clear()
                # What the discovery has cached is asked for again.
                os.environ["REQUEST_CACHE_PATH"] = os.path.join(cache, "read")
                os.mkdir(os.environ["REQUEST_CACHE_PATH"])
                try:
                    for message in make(catalog).read(logger, config, catalog, state):
                        if message.type == Type.RECORD:
                            # Taken before it is written out, which leaves out fields that are nothing.
                            data = dict(message.record.data)
                            file = message.record.file_reference
                            if file:
                                with open(file.staging_file_url, "rb") as content:
                                    body = base64.b64encode(content.read()).decode()
                                data = {
                                    "record": data,
                                    "path": file.source_file_relative_path,
                                    "size": file.file_size_bytes,
                                    "file": body,
                                }
                            out["records"].setdefault(message.record.stream, []).append(data)
                            continue
                        item = json.loads(json.dumps(dump(message), default=str))
                        if item["type"] == "STATE":
                            stream = item["state"]["stream"]
                            out["states"][stream["stream_descriptor"]["name"]] = stream["stream_state"]
                        elif item["type"] == "TRACE" and item["trace"]["type"] == "STREAM_STATUS":
                            status = item["trace"]["stream_status"]
                            if status["status"] == "INCOMPLETE":
                                out["incomplete"].append(status["stream_descriptor"]["name"])
                        elif item["type"] == "TRACE" and item["trace"]["type"] == "ERROR":
                            out["error"] = (item["trace"]["error"].get("internal_message") or "")[:500]
                        elif item["type"] == "CONTROL":
                            printed.controls.append(item["control"]["connectorConfig"]["config"])
                except Exception as error:  # noqa: BLE001 - a failed stream ends the read with one
                    out["error"] = out["error"] or f"{type(error).__name__}: {error}"[:500]
                    out["failed"] = True
                out["controls"] = list(printed.controls)
        except Exception as error:  # noqa: BLE001 - the outcome
            out["error"] = f"{type(error).__name__}: {error}"[:500]
            out["failed"] = True
            if job["verb"] == "check":
                out["check"] = "FAILED"
        return out


def finite(value):
    """What is no number in JSON is nothing, as in the protocol's messages."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def dump_stream(stream):
    catalog = AirbyteMessage(type=Type.CATALOG, catalog=AirbyteCatalog(streams=[stream]))
    # Dates of the YAML are written as the protocol's messages have them.
    written = json.dumps(dump(catalog), default=lambda value: value.isoformat())
    item = json.loads(written)["catalog"]["streams"][0]
    return {key: value for key, value in item.items() if value is not None}


for line in sys.stdin:
    job = json.loads(line)

    def mark():
        requests.Session().get("http://mark/", headers={"X-Mark": "1"})

    job["mark"] = mark
    replies.write(json.dumps(finite(run(job)), default=str) + "\n")
    replies.flush()
