"""Runs manifests with airbyte-cdk: one JSON request a line on standard input, one JSON reply a line on standard output.

Time stands still, nothing sleeps, and every request goes to one local server, which is told the address that was meant.
"""

import copy
import datetime as real
import json
import logging
import os
import sys
import tempfile
import time

os.environ["TZ"] = "UTC"
time.tzset()
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
logging.disable(logging.CRITICAL)

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
        return NOW.astimezone(tz)


import types

macros.datetime = types.SimpleNamespace(datetime=_Clock, timezone=real.timezone, timedelta=real.timedelta, date=real.date)
frozen = datetime_helpers.AirbyteDateTime.from_datetime(NOW)
original_now = datetime_helpers.ab_datetime_now
for module in list(sys.modules.values()):
    if getattr(module, "ab_datetime_now", None) is original_now:
        module.ab_datetime_now = lambda: frozen

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


def run(job):
    server["base"] = job["base"]
    text = open(job["file"], encoding="utf-8").read()
    manifest = yaml.safe_load(text)
    if job["nested"]:
        manifest = manifest["manifest"]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["REQUEST_CACHE_PATH"] = cache
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
                out["check"] = make().check(logger, config).status.value
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
                # What the discovery has cached is asked for again.
                os.environ["REQUEST_CACHE_PATH"] = os.path.join(cache, "read")
                os.mkdir(os.environ["REQUEST_CACHE_PATH"])
                try:
                    for message in make(catalog).read(logger, config, catalog, state):
                        if message.type == Type.RECORD:
                            # Taken before it is written out, which leaves out fields that are nothing.
                            out["records"].setdefault(message.record.stream, []).append(dict(message.record.data))
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
                except Exception as error:  # noqa: BLE001 - a failed stream ends the read with one
                    out["error"] = out["error"] or f"{type(error).__name__}: {error}"[:500]
                    out["failed"] = True
        except Exception as error:  # noqa: BLE001 - the outcome
            out["error"] = f"{type(error).__name__}: {error}"[:500]
            out["failed"] = True
            if job["verb"] == "check":
                out["check"] = "FAILED"
        return out


def dump_stream(stream):
    catalog = AirbyteMessage(type=Type.CATALOG, catalog=AirbyteCatalog(streams=[stream]))
    item = json.loads(json.dumps(dump(catalog)))["catalog"]["streams"][0]
    return {key: value for key, value in item.items() if value is not None}


for line in sys.stdin:
    job = json.loads(line)

    def mark():
        requests.Session().get("http://mark/", headers={"X-Mark": "1"})

    job["mark"] = mark
    replies.write(json.dumps(run(job), default=str) + "\n")
    replies.flush()
