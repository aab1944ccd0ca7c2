"""Reads the synthetic API with dlt's rest_api source: its extract step only, or the whole way into files of JSON lines."""

import json
import os
import resource
import sys
import tempfile
import time

_, name, url, token_url = sys.argv
folder = tempfile.TemporaryDirectory()
os.environ["DLT_DATA_DIR"] = folder.name + "/dlt"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"

import dlt
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.rest_api import rest_api_source

auth = OAuth2ClientCredentials(
    access_token_url=token_url,
    client_id="client",
    client_secret=os.environ["BENCH_SECRET"],
    access_token_request_data={"scope": "records.read"},
)
source = rest_api_source(
    {
        "client": {"base_url": url, "auth": auth},
        "resources": [
            {
                "name": "records",
                "primary_key": "id",
                "max_table_nesting": 0,
                "endpoint": {
                    "path": "records",
                    "data_selector": "data",
                    "paginator": {"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"},
                },
            }
        ],
    }
)


def cpu():
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


pipeline = dlt.pipeline(
    "bench", destination=dlt.destinations.filesystem(bucket_url="file://" + folder.name + "/files"), dataset_name="raw"
)
before, started = cpu(), time.perf_counter()
if name == "dlt-extract":
    pipeline.extract(source, loader_file_format="jsonl")
else:
    pipeline.run(source, loader_file_format="jsonl")
seconds = time.perf_counter() - started
records = 0
trace = pipeline.last_trace.last_extract_info
for metrics in trace.metrics.values():
    for metric in metrics:
        records += sum(
            found.items_count for table, found in metric["table_metrics"].items() if not table.startswith("_dlt")
        )
print(json.dumps({"records": records, "seconds": seconds, "cpu": cpu() - before}))
