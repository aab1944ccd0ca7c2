"""The CDK's own interpolation with a clock that stands still: what golden values and the fuzzer compare with."""

import datetime as real
import os
import signal
import sys
import time
import types
import uuid

os.environ["TZ"] = "UTC"
time.tzset()

import airbyte_cdk.sources.declarative.interpolation.macros as macros
from airbyte_cdk.sources.declarative.interpolation.interpolated_boolean import InterpolatedBoolean
from airbyte_cdk.sources.declarative.interpolation.interpolated_mapping import InterpolatedMapping
from airbyte_cdk.sources.declarative.interpolation.interpolated_nested_mapping import InterpolatedNestedMapping
from airbyte_cdk.sources.declarative.interpolation.interpolated_string import InterpolatedString
from airbyte_cdk.sources.declarative.interpolation.jinja import JinjaInterpolation
from airbyte_cdk.sources.types import StreamSlice

NOW = real.datetime(2024, 2, 29, 13, 14, 15, 167089, tzinfo=real.timezone.utc)
UUID = uuid.UUID("9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f")


class _Meta(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real.datetime)

    def __getattr__(cls, name):
        return getattr(real.datetime, name)


class _Clock(metaclass=_Meta):
    @staticmethod
    def now(tz=None):
        return NOW.astimezone(tz)


macros.datetime = types.SimpleNamespace(datetime=_Clock, timezone=real.timezone, timedelta=real.timedelta, date=real.date)
macros.uuid = types.SimpleNamespace(uuid4=lambda: UUID)

_jinja = JinjaInterpolation()


def build(context):
    """The context with its stream slice as the CDK has it."""
    context = dict(context)
    parts = context.get("stream_slice")
    if isinstance(parts, dict) and set(parts) == {"partition", "cursor_slice", "extra_fields"}:
        context["stream_slice"] = StreamSlice(**parts)
    return context


class Slow(BaseException):
    pass


def _alarm(*_):
    raise Slow()


signal.signal(signal.SIGPROF, _alarm)


def evaluate(mode, expression, context):
    """`["v", repr of the value]`, or `["e", class of the exception]`."""
    rest = {k: v for k, v in context.items() if k != "config"}
    config = context["config"]
    signal.setitimer(signal.ITIMER_PROF, 2)
    try:
        if mode == "plain":
            value = _jinja.eval(expression, config, **rest)
        elif mode == "text":
            value = _jinja.eval(expression, config, valid_types=(str,), **rest)
        elif mode == "string":
            parameters = rest.pop("parameters", {})
            value = InterpolatedString(expression, parameters=parameters).eval(config, **rest)
        elif mode == "boolean":
            parameters = rest.pop("parameters", {})
            value = InterpolatedBoolean(condition=expression, parameters=parameters).eval(config, **rest)
        elif mode == "nested":
            parameters = rest.pop("parameters", {})
            value = InterpolatedNestedMapping(mapping=expression, parameters=parameters).eval(config, **rest)
        else:
            parameters = rest.pop("parameters", {})
            value = InterpolatedMapping(mapping=expression, parameters=parameters).eval(config, **rest)
        return ["v", repr(value)]
    except Slow:
        return ["slow"]
    except BaseException as error:  # noqa: BLE001 - the class is the outcome
        return ["e", type(error).__name__]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
