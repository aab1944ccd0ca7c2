"""Reads the synthetic API with airbyte-cdk, as a declarative connector's own entry point does, but prints no message."""

import json
import logging
import os
import resource
import sys
import time

logging.disable(logging.CRITICAL)
_, _, url, token_url = sys.argv

from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

fields = {name: {} for name in ("id", "seq", "type", "updated_at", "amount", "customer", "tags")}
manifest = {
    "version": "7.0.0",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["records"]},
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "records",
            "primary_key": ["id"],
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {
                    "type": "HttpRequester",
                    "url_base": url,
                    "path": "/records",
                    "http_method": "GET",
                    "authenticator": {
                        "type": "OAuthAuthenticator",
                        "token_refresh_endpoint": token_url,
                        "client_id": "client",
                        "client_secret": "{{ config['client_secret'] }}",
                        "grant_type": "client_credentials",
                    },
                },
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
                },
                "paginator": {
                    "type": "DefaultPaginator",
                    "page_token_option": {
                        "type": "RequestOption",
                        "inject_into": "request_parameter",
                        "field_name": "cursor",
                    },
                    "pagination_strategy": {
                        "type": "CursorPagination",
                        "cursor_value": "{{ response.get('next') }}",
                        "stop_condition": "{{ not response.get('next') }}",
                    },
                },
            },
            "schema_loader": {
                "type": "InlineSchemaLoader",
                "schema": {"type": "object", "additionalProperties": True, "properties": fields},
            },
        }
    ],
}
config = {"client_secret": os.environ["BENCH_SECRET"]}
catalog = ConfiguredAirbyteCatalogSerializer.load(
    {
        "streams": [
            {
                "stream": {"name": "records", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                "sync_mode": "full_refresh",
                "destination_sync_mode": "append",
            }
        ]
    }
)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


before, started = cpu(), time.perf_counter()
source = ConcurrentDeclarativeSource(catalog=catalog, config=config, state=[], source_config=manifest)
records = 0
for message in source.read(logging.getLogger("airbyte"), config, catalog, []):
    if message.type == Type.RECORD:
        records += 1
print(json.dumps({"records": records, "seconds": time.perf_counter() - started, "cpu": cpu() - before}))
