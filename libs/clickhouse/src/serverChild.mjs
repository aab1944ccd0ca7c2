/* oxlint-disable eslint/no-restricted-globals, eslint/no-console -- a program of its own: it is started by ClickHouseServer.ts
   as a child process, so that the engine cannot take the parent down with it. Plain JavaScript, for any Node to run.

   node serverChild.mjs <library> <data directory> <config file> <port> <ready file>

   The library `libchdb` contains the ClickHouse server: its `chdb_query_cmdline` runs the command line of clickhouse-local,
   whose SYSTEM START LISTEN opens the HTTP port. The last statement never ends, and so the server stays; KILL QUERY ends it
   and the process. The file <ready file> appears once the port is ours. */
import { DataType, load, open } from "ffi-rs"

const [library, directory, config, port, ready] = process.argv.slice(2)

// The parent keeps our stdin open. When it closes, the parent is gone, even by kill -9: end at once, so that the lock on the
// directory is free for the next start. The engine needs no farewell: what it acknowledged is in its files.
process.stdin
  .on("end", () => process.kill(process.pid, "SIGKILL"))
  .on("error", () => process.kill(process.pid, "SIGKILL"))
  .resume()

const text = (value) => `'${value.replace(/[\\']/gu, "\\$&")}'`
const statements = [
  "SYSTEM START LISTEN HTTP",
  `SELECT 1 INTO OUTFILE ${text(ready)} FORMAT TSV`,
  "SELECT sleepEachRow(0.25) FROM system.numbers SETTINGS max_block_size = 1 FORMAT Null"
]
const argv = [
  "clickhouse",
  `--config-file=${config}`,
  `--path=${directory}`,
  "--listen_host=127.0.0.1",
  `--http_port=${port}`,
  "--query",
  statements.join("; ")
]

open({ library: "chdb", path: library })
const call = (funcName, retType, paramsType, paramsValue, runInNewThread) =>
  load({ library: "chdb", funcName, retType, paramsType, paramsValue, runInNewThread })
const result = await call(
  "chdb_query_cmdline",
  DataType.External,
  [DataType.I32, DataType.StringArray],
  [argv.length, argv],
  true
)
if (call("chdb_result_error", DataType.I64, [DataType.External], [result], false)) {
  console.error(call("chdb_result_error", DataType.String, [DataType.External], [result], false))
  process.exit(1)
}
process.exit(0)
