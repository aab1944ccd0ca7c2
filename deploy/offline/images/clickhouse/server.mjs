/* oxlint-disable eslint/no-restricted-globals, eslint/no-console -- a program of its own, in an image of its own */
// Starts the ClickHouse server inside `libchdb` as the public image starts its own: user and password by CLICKHOUSE_USER and
// CLICKHOUSE_PASSWORD, settings in /etc/clickhouse-server, data in /var/lib/clickhouse, ports 8123 (or CLICKHOUSE_HTTP_PORT)
// and 9000. The library's `chdb_query_cmdline` runs the command line of clickhouse-local, whose SYSTEM START LISTEN opens the
// ports. The last statement never ends, and so the server stays.
import { DataType, load, open } from "ffi-rs"
import { createHash } from "node:crypto"
import { existsSync, globSync, rmSync, writeFileSync } from "node:fs"

const settings = "/etc/clickhouse-server"
const data = "/var/lib/clickhouse"
const user = process.env["CLICKHOUSE_USER"] || "clickhouse"
const password = process.env["CLICKHOUSE_PASSWORD"] ?? ""
const access = process.env["CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT"] === "1" ? 1 : 0
const { http, tcp } = {
  http: process.env["CLICKHOUSE_HTTP_PORT"] || "8123",
  tcp: process.env["CLICKHOUSE_TCP_PORT"] || "9000"
}

if (!/^[A-Za-z_]\w*$/u.test(user) || user === "default") {
  console.error(`CLICKHOUSE_USER: found "${user}", expected a name of letters, digits and _ other than "default".`)
  process.exit(1)
}
writeFileSync(
  `${settings}/users.d/default-user.xml`,
  `<clickhouse><users><${user}>
  <password_sha256_hex>${createHash("sha256").update(password).digest("hex")}</password_sha256_hex>
  <networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
  <access_management>${access}</access_management>
</${user}></users></clickhouse>\n`
)

const ready = "/tmp/clickhouse-ready"
rmSync(ready, { force: true })
const statements = [
  "SYSTEM START LISTEN HTTP",
  "SYSTEM START LISTEN TCP",
  `SELECT 1 INTO OUTFILE '${ready}' FORMAT TSV`,
  "SELECT sleepEachRow(0.25) FROM system.numbers SETTINGS max_block_size = 1 FORMAT Null"
]
const argv = [
  "clickhouse",
  `--config-file=${settings}/config.xml`,
  `--path=${data}`,
  `--listen_host=${process.env["CLICKHOUSE_LISTEN_HOST"] || "0.0.0.0"}`,
  `--http_port=${http}`,
  `--tcp_port=${tcp}`,
  "--query",
  statements.join("; ")
]

const [library] = globSync("/opt/clickhouse/node_modules/@chdb/lib-*/libchdb.so")
if (library === undefined) {
  console.error("The package chdb has no libchdb.so for this machine.")
  process.exit(1)
}
// What was acknowledged is in the files: there is nothing to wait for.
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.kill(process.pid, "SIGKILL"))
const said = setInterval(() => {
  if (!existsSync(ready)) return
  console.log(`ClickHouse is ready: HTTP at port ${http}, native protocol at port ${tcp}.`)
  clearInterval(said)
}, 100)

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
}
console.error("The server ended by itself.")
process.exit(1)
