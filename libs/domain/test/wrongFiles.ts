import { wholeFile } from "./files.ts"

const hidden = "a value in the open (not shown, it may be a secret)"
const secret =
  "a reference to the secret: ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}"
const takeOut = "Take the secret out of the file; write ${env:NAME} or ${file:path} in its place."

/** Replaces a part of a valid file; fails when the part is not in it. */
const edited = (from: string, to: string): string => {
  if (!wholeFile.includes(from)) throw new Error(`not in the file: ${from}`)
  return wholeFile.replace(from, () => to)
}

/** Wrong files, each with its problems as `line:column path: found X, expected Y. Advice`. */
const bare = "connector: shop\nhttp: { base_url: https://x.example }\nstreams:\n"

export const wrongFiles: ReadonlyArray<readonly [name: string, text: string, ...expected: ReadonlyArray<string>]> = [
  [
    "an empty file",
    "",
    "1:1 : found an empty file, expected the settings connector, auth, module, manifest, hooks, state, config, http, streams, streams_from, transform, sink. Begin with `connector: <name>`."
  ],
  [
    "a file that is one text",
    "hello\n",
    '1:1 : found "hello", expected the settings connector, auth, module, manifest, hooks, state, config, http, streams, streams_from, transform, sink. Begin with `connector: <name>`.'
  ],
  [
    "streams with settings in a list",
    "connector: shop\nhttp: { base_url: https://x.example }\nstreams:\n  - orders:\n      path: /orders\n",
    "4:5 streams[0]: found a list entry with settings, expected the name of a stream: a lower-case letter, then at most 62 of a-z, 0-9, _ and -. Take away the dash: streams with settings are given by name, not as a list."
  ],
  [
    "a brace that is not closed",
    "connector: shop\nhttp: { base_url: https://x\nstreams: {}\n",
    "3:1 : found a brace or bracket that is not closed, expected } or ] before the next setting. Close the brace or bracket that is open above, and indent what is inside it."
  ],
  [
    "a tab as indentation",
    "connector: shop\nhttp:\n\tbase_url: https://x\n",
    "3:1 : found a tab as indentation, expected spaces. Indent with spaces."
  ],
  [
    "a tab as indentation among spaces, and what the parser makes of the rest",
    "connector: shop\nhttp: { base_url: https://x }\nstreams:\n  items:\n    path: /items\n\trecords: $.data[*]\n    primary_key: id\n\tpoll: [\n",
    "6:1 : found a tab as indentation, expected spaces. Indent with spaces.",
    "8:1 : found a tab as indentation, expected spaces. Indent with spaces."
  ],
  [
    "two documents",
    `${wholeFile}---\nconnector: other\n`,
    "50:1 : found a second document, expected one connector per file. Remove the line ---, or move what follows into a file of its own."
  ],
  [
    "a setting given twice",
    edited("  items:\n", "  orders:\n"),
    "32:3 : found a setting that is already given above, expected each setting once. Remove one of the two."
  ],
  [
    "a tag",
    edited("client_id: ${env:SHOP_ID}", "client_id: !env SHOP_ID"),
    "5:14 : found a tag (text that begins with !), expected a value without a tag. Remove the tag; secrets are written as ${env:NAME} or ${file:path}."
  ],
  [
    "an unknown setting at the top",
    edited("transform:\n  - drop", "transfrom:\n  - drop"),
    "40:1 transfrom: found the unknown setting `transfrom`, expected one of connector, auth, module, manifest, hooks, state, config, http, streams, streams_from, transform, sink. Did you mean transform?"
  ],
  [
    "an unknown setting in a stream, which is the missing one",
    edited("    path: /items", "    paht: /items"),
    "33:5 streams.items.paht: found the unknown setting `paht`, expected one of path, address, method, query, headers, body, format, charset, csv, unpack, records, filter, expand, add, primary_key, job, webhook, pagination, partitions, concurrency, errors, incremental, poll, jitter, schema, topic, transform, sink. Did you mean path?"
  ],
  [
    "a setting at the wrong level",
    edited("connector: shop\n", "connector: shop\nbase_url: https://x\n"),
    "2:1 base_url: found the unknown setting `base_url`, expected one of connector, auth, module, manifest, hooks, state, config, http, streams, streams_from, transform, sink. `base_url` belongs under http."
  ],
  [
    "a setting that is nothing like the known ones",
    edited("http:\n", "http:\n  wibble: 1\n"),
    "10:3 http.wibble: found the unknown setting `wibble`, expected one of base_url, headers, rate_limit, connect_timeout, headers_timeout, body_timeout, page_timeout, max_page_bytes, max_pages, adapt, limit_headers, circuit_breaker, retries, connections, http2, proxy, tls. Remove it."
  ],
  [
    "a missing setting",
    edited("    path: /items\n", ""),
    "32:3 streams.items.path: found no `path`, expected `path`: a path that begins with / and has no query. Add it, for example path: /orders."
  ],
  [
    "a value that is missing",
    edited("per: 1 minute,", "per: ,"),
    "12:37 http.rate_limit.per: found nothing, expected a duration longer than zero, such as 30 seconds or 1 minute. Give it a value, or remove the line."
  ],
  [
    "a number in quotes",
    edited("requests: 600", 'requests: "600"'),
    '12:27 http.rate_limit.requests: found "600", expected a whole number greater than zero. Write the number without quotes or separators: 600.'
  ],
  [
    "a number where a text is due",
    edited('x-api-version: "2"', "x-api-version: 2.0"),
    '11:29 http.headers.x-api-version: found 2.0, expected a text on one line; references such as ${env:NAME} and ${file:path} are replaced in it. Put it in quotes: "2.0".'
  ],
  [
    "a number that would not be sent as it is written",
    edited("per_page: 100", "per_page: 1.10"),
    '17:24 streams.orders.query.per_page: found 1.10, expected a text, a number, true or false. Put it in quotes to send it as it is written: "1.10".'
  ],
  [
    "a number out of bounds",
    edited("batch_rows: 10000", "batch_rows: 500001"),
    "45:17 sink.clickhouse.batch_rows: found 500001, expected a whole number from 1 to 500000. Write it as in this example: 20000."
  ],
  [
    "a text where a list is due",
    edited("scopes: [orders.read, items.read]", "scopes: orders.read"),
    '8:11 auth.scopes: found "orders.read", expected a list. Put the value in brackets: [ ... ].'
  ],
  [
    "an empty list and a list with a repetition",
    edited("primary_key: [shop.id, id]", "primary_key: [id, id]").replace("drop: [internal_note]", "drop: []"),
    "19:18 streams.orders.primary_key: found a list of 2, expected a list of at least one field, none twice. Remove the entry that is there twice.",
    "41:11 transform[0].drop: found an empty list, expected a list of at least one field, none twice. Add an entry, or remove the setting."
  ],
  [
    "a wrong word",
    edited("mode: upsert", "mode: upsrt").replace("oauth2: refresh_token", "oauth2: implicit"),
    '3:11 auth.oauth2: found "implicit", expected one of client_credentials, refresh_token, jwt_bearer, token_exchange, custom, login, authorization_code, device_code. Write client_credentials or refresh_token or jwt_bearer or token_exchange or custom or login or authorization_code or device_code.',
    '44:11 sink.clickhouse.mode: found "upsrt", expected one of append, upsert. Did you mean upsert?'
  ],
  [
    "a wrong name",
    edited("connector: shop", "connector: Shop API"),
    '1:12 connector: found "Shop API", expected the name of a connector: a lower-case letter, then at most 62 of a-z, 0-9, _ and -. Write shop_api.'
  ],
  [
    "durations",
    edited("per: 1 minute", "per: 60s")
      .replace("jitter: 2 seconds", "jitter: 2")
      .replace("retention: 1 day", "retention: 1 dya")
      .replace("500 millis", "-1 seconds"),
    '12:37 http.rate_limit.per: found "60s", expected a duration longer than zero, such as 30 seconds or 1 minute. Write 60 seconds.',
    "23:13 streams.orders.jitter: found 2, expected a duration such as 30 seconds, 1 minute or 7 days. Add the unit: 2 seconds.",
    '25:54 streams.orders.topic.retention: found "1 dya", expected a duration longer than zero, such as 30 seconds or 1 minute. Write 1 day.',
    '39:85 streams.items.sink.clickhouse.flush_every: found "-1 seconds", expected a duration such as 30 seconds, 1 minute or 7 days. Write it as in this example: 1 second.'
  ],
  [
    "a selector",
    edited("records: $.data[*]", "records: data[*]"),
    "18:14 streams.orders.records: found \"data[*]\", expected a selector: $ is the document, then .name, .*, ['any name'], [0] or [*], as in $.data[*]. Write $.data[*]."
  ],
  [
    "polls",
    edited("cron */5 6-20 * * MON-FRI Europe/Berlin", "cron */5 6-20 * * MON-FRI Europe/Berln").replace(
      "every 2 seconds",
      "2 seconds"
    ),
    '22:11 streams.orders.poll: found "cron */5 6-20 * * MON-FRI Europe/Berln", expected every <duration> or cron <expression> [time zone]. Europe/Berln is not a time zone; write one such as Europe/Berlin or UTC.',
    '36:11 streams.items.poll: found "2 seconds", expected every <duration> or cron <expression> [time zone]. Write every 2 seconds.'
  ],
  [
    "a field type",
    edited("id: int64, total", "id: bigint, total"),
    '24:19 streams.orders.schema.id: found "bigint", expected a field type: bool, int8 to int64, uint8 to uint64, float64, decimal(digits, scale), string, date, timestamp, uuid or json, with ? where null is allowed. Write int64.'
  ],
  [
    "no form of pagination",
    edited("{ cursor: $.next, param: cursor }", "{ nexturl: $.next }"),
    "20:17 streams.orders.pagination: found the settings nexturl, expected one of the forms cursor + param, header + param, last_record + param, page, offset + limit, next_url, link. Did you mean next_url?"
  ],
  [
    "two forms of pagination",
    edited("{ cursor: $.next, param: cursor }", "{ page: p, offset: o, limit: 3 }"),
    "20:17 streams.orders.pagination: found page and offset together, expected one of the forms cursor + param, header + param, last_record + param, page, offset + limit, next_url, link. Keep one of them."
  ],
  [
    "a form of pagination with a setting of another",
    edited("{ cursor: $.next, param: cursor }", "{ cursor: $.next, param: cursor, limit: 3 }"),
    "20:50 streams.orders.pagination.limit: found the unknown setting `limit`, expected one of cursor, param, in, more, end, until_empty. `limit` belongs to another form of pagination."
  ],
  [
    "a text where a form is due",
    edited("{ cursor: $.next, param: cursor }", "cursor"),
    '20:17 streams.orders.pagination: found "cursor", expected one of the forms cursor + param, header + param, last_record + param, page, offset + limit, next_url, link. Choose a form by its first setting.'
  ],
  [
    "steps of a transform",
    edited(
      "  - drop: [internal_note]",
      "  - drp: [a]\n  - drop: [a]\n    keep: [b]\n  - mask: { a: sha1 }\n  - typescript: ./x.py"
    ),
    "41:5 transform[0]: found the settings drp, expected one of the forms keep, drop, rename, mask + salt, cast, filter, flatten, typescript. Did you mean drop?",
    "42:5 transform[1]: found keep and drop together, expected one of the forms keep, drop, rename, mask + salt, cast, filter, flatten, typescript. Write each as a list entry of its own.",
    "44:5 transform[2].salt: found no `salt`, expected `salt`: a reference to the secret: ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. Add it, for example salt: ${env:MASK_SALT}.",
    '44:16 transform[2].mask.a: found "sha1", expected sha256. Write sha256.',
    '45:17 transform[3].typescript: found "./x.py", expected the path of a module that ends in .ts, .mts, .js or .mjs. Write it as in this example: ./orders.ts.'
  ],
  [
    "a sink of a kind that does not exist",
    edited("sink:\n  clickhouse:\n", "sink:\n  postgres:\n"),
    '42:1 sink.clickhouse: found no `clickhouse`, expected `clickhouse`: the settings table, order_by, partition_by, mode, batch_rows, batch_bytes, flush_every, views. Add it, for example clickhouse: { table: "{connector}.{stream}" }.',
    "43:3 sink.postgres: found the unknown setting `postgres`, expected one of clickhouse. Remove it."
  ],
  [
    "secrets in the open",
    edited("${env:SHOP_SECRET}", "hunter2"),
    `6:18 auth.client_secret: found ${hidden}, expected ${secret}. ${takeOut}`
  ],
  [
    "a secret in a header",
    edited('"${env:SHOP_KEY}"', "hunter2"),
    `11:45 http.headers.x-api-key: found ${hidden}, expected ${secret}. ${takeOut}`
  ],
  [
    "a secret in a parameter",
    edited("expand: true", "access_token: 123456"),
    `17:43 streams.orders.query.access_token: found ${hidden}, expected ${secret}. ${takeOut}`
  ],
  [
    "a password in an address",
    edited("https://id.shop.example", "https://bob:hunter2@id.shop.example"),
    "4:11 auth.issuer: found an address with a user and a password (not shown), expected an address without them. Take them out of the address; send them with `auth`, or with a header that refers to ${env:NAME}."
  ],
  [
    "a reference of an unknown kind",
    edited("${env:SHOP_SECRET}", "${azure:shop#secret}"),
    `6:18 auth.client_secret: found \`\${azure:shop#secret}\`, expected ${secret}. Only \${env:NAME}, \${file:path}, \${vault:path#field}, \${aws:name#field} or \${gcp:name#field} are supported; \`azure\` is not a kind of reference yet.`
  ],
  [
    "references that are not well-formed",
    edited("${env:SHOP_ID}", "${ENV:SHOP_ID}")
      .replace("https://${env:SHOP_HOST}/v1", "https://${env:}/v1")
      .replace("${env:SHOP_KEY}", "${SHOP_KEY}")
      .replace('"-id"', '"${env:SORT"'),
    "5:14 auth.client_id: found `${ENV:SHOP_ID}`, expected ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. Write ${env:SHOP_ID}; the kinds are env, file, vault, aws and gcp, in lower case.",
    "10:21 http.base_url: found `${env:}`, expected ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. Name the environment variable: ${env:NAME}.",
    "11:45 http.headers.x-api-key: found `${SHOP_KEY}`, expected ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. Say where it comes from: ${env:SHOP_KEY} or ${file:path}.",
    '17:49 streams.orders.query.sort: found "${env:SORT", expected ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. The reference is not closed: } is missing.'
  ],
  [
    "a reference where none is replaced",
    edited("table: shop.all_items", 'table: "${env:TABLE}"'),
    '39:28 streams.items.sink.clickhouse.table: found "${env:TABLE}", expected a table as database.table; only {connector} and {stream} are replaced in it. References are not replaced in this setting; write the value itself.'
  ],
  [
    "addresses, paths and tables",
    edited("https://${env:SHOP_HOST}/v1", "api.shop.example/v1")
      .replace("path: /items", "path: items")
      .replace("path: /orders", "path: /orders?limit=3")
      .replace("shop.all_items", "all_items"),
    '10:13 http.base_url: found "api.shop.example/v1", expected an address that begins with https:// or http:// and has no query. Write https://api.shop.example/v1.',
    '16:11 streams.orders.path: found "/orders?limit=3", expected a path that begins with / and has no query. Put query parameters under `query`.',
    '33:11 streams.items.path: found "items", expected a path that begins with / and has no query. Write /items.',
    '39:28 streams.items.sink.clickhouse.table: found "all_items", expected a table as database.table; only {connector} and {stream} are replaced in it. Name the database too: {connector}.all_items.'
  ],
  [
    "an alias of nothing",
    edited("transform: []", "transform: *steps"),
    "37:16 streams.items.transform: found an alias of nothing, expected a list. Put the anchor (&name) before the alias (*name), or the text in quotes."
  ],
  [
    "a name that would reach into the language",
    edited("x-api-version", "__proto__"),
    "11:14 http.headers.__proto__: found the name `__proto__`, expected the name of a header, without spaces or a colon. Choose another name."
  ],
  // What no single setting can tell
  [
    "an authorization without a server",
    edited("  issuer: https://id.shop.example\n", ""),
    "2:1 auth: found neither issuer nor token_url, expected one of them. Add `issuer` if the server can be discovered, else `token_url`; or `provider`, if there is a profile of it."
  ],
  [
    "an authorization with two servers",
    edited(
      "  issuer: https://id.shop.example\n",
      "  issuer: https://id.shop.example\n  token_url: https://id.shop.example/t\n"
    ),
    "5:3 auth.token_url: found issuer and token_url together, expected one of them. Keep `issuer` if the server can be discovered, else `token_url`."
  ],
  [
    "a grant without its token",
    edited("  refresh_token: ${file:./refresh-token}\n", ""),
    "3:3 auth.oauth2: found the grant refresh_token without `refresh_token`, expected a reference to the first refresh token. Add `refresh_token: ${file:./refresh-token}`."
  ],
  [
    "a token without its grant",
    edited("oauth2: refresh_token", "oauth2: client_credentials"),
    "7:3 auth.refresh_token: found `refresh_token` with the grant client_credentials, expected no refresh token, which this grant has none of (RFC 6749, section 4.4). Remove it, or write `oauth2: refresh_token`."
  ],
  [
    "two authorizations",
    edited("x-api-key", "Authorization"),
    "11:34 http.headers.Authorization: found the header Authorization beside `auth`, expected one of them. Remove the header; `auth` sends it with each request."
  ],
  [
    "windows without a beginning",
    `${bare}  a: { path: /a, incremental: { field: at, param: since, step: 1 day } }\n`,
    "4:58 streams.a.incremental.step: found `step` without `start`, expected both. Add `start`, the time of the first window."
  ],
  [
    "nothing that takes the value to read from",
    `${bare}  a: { path: /a, incremental: { field: at } }\n`,
    "4:18 streams.a.incremental: found no `param`, expected `param`: the parameter that takes the value to read from. Add it, or say with `order: descending` or `filter: true` that the API has none."
  ],
  [
    "a cursor in rows",
    `${bare}  a: { path: /a, format: csv, pagination: { cursor: $.next, param: c } }\n`,
    "4:31 streams.a.pagination: found a value of the body, which is csv, expected a header, a page number, an offset or the last record. Lines and rows hold records only; use `header`, `link`, `page`, `offset` or `last_record`."
  ],
  [
    "a parent that is not there",
    `${bare}  a: { path: /a, partitions: { parent: c, values: { x: id } } }\n`,
    "4:32 streams.a.partitions.parent: found the stream c, which is not there, expected one of a. Name a stream of this connector."
  ],
  [
    "parents in a circle",
    `${bare}  a: { path: /a, partitions: { parent: a, values: { x: id } } }\n`,
    "4:32 streams.a.partitions.parent: found the stream a, which is below this one, expected a stream that can be read first. Parents must not form a circle."
  ],
  [
    "a secret in a body",
    `${bare}  a: { path: /a, body: { json: { api_key: hunter2-S3cr3t } } }\n`,
    `4:43 streams.a.body.json.api_key: found a value in the open (not shown, it may be a secret), expected ${secret}. Take the secret out of the file; write \${env:NAME} or \${file:path} in its place.`
  ],
  [
    "no streams",
    "connector: shop\nhttp: { base_url: https://x.example }\nstreams: {}\n",
    "3:1 streams: found no streams, expected at least one stream. Add a stream, for example orders: { path: /orders }."
  ],
  [
    "an upsert without a key",
    edited("    primary_key: [shop.id, id]\n", ""),
    "15:3 streams.orders: found no primary_key, and the mode upsert in the connector's sink, expected fields by which the last version of a record is known. Add `primary_key` to the stream, or `order_by` to the sink."
  ],
  [
    "two streams in one table",
    edited("    mode: upsert", "    mode: upsert\n    table: shop.all_items"),
    "39:21 streams.items.sink.clickhouse.table: found the table shop.all_items for the streams orders and items, expected one table per stream. Choose another table."
  ],
  [
    "a connector's table for two streams",
    edited("    mode: upsert", "    mode: upsert\n    table: shop.all").replace(
      "    sink:\n      clickhouse: { table: shop.all_items, partition_by: toYYYYMM(at), flush_every: 500 millis }\n",
      ""
    ),
    "43:5 sink.clickhouse.table: found the table shop.all for the streams orders and items, expected one table per stream. Write {stream} for the stream's name, as in {connector}.{stream}, or give each stream a sink of its own."
  ],
  [
    "a reference in braces without quotes",
    edited('x-api-key: "${env:SHOP_KEY}"', "x-api-key: ${env:SHOP_KEY}"),
    '11:46 : found a reference in braces or brackets, without quotes, expected references in quotes there. Put the reference in quotes, as in { name: "${env:NAME}" }.'
  ],
  [
    "a sorting column that may be null",
    edited("id: int64,", "id: int64?,"),
    "24:15 streams.orders.schema.id: found int64? for id, which sorts the table, expected a type that can sort: not null and not json. Remove the ?, or take the column out of `order_by`."
  ],
  [
    "two streams in one topic",
    edited("    transform: []\n", "    topic: { name: orders }\n"),
    "37:14 streams.items.topic.name: found the topic orders, which the stream orders also writes, expected one topic per stream. Choose another name, or leave it out: the default is shop.items."
  ],
  [
    "a parameter that two settings send",
    edited("param: since", "param: cursor").replace("size_param: per_page", "size_param: page"),
    "21:39 streams.orders.incremental.param: found the query parameter `cursor`, which `pagination.param` also sets, expected each parameter from one setting. Give one of them another name.",
    "34:41 streams.items.pagination.size_param: found the query parameter `page`, which `pagination.page` also sets, expected each parameter from one setting. Give one of them another name."
  ],
  [
    "a placeholder that is nowhere",
    edited("param: cursor", "param: cursor, in: placeholder"),
    "20:50 streams.orders.pagination.in: found `placeholder`, but no {cursor} in the request, expected {cursor} in the path, a query parameter, a header or the body. Write it where the value goes, or say with `in` where that is."
  ],
  [
    "a variable that a GraphQL query does not have",
    `${bare}  a:\n    path: /a\n    body: { graphql: "query($after: String) { a(after: $after) { id } }" }\n    pagination: { cursor: $.next, param: variables.after, in: body }\n`,
    "7:35 streams.a.pagination.param: found `variables.after`, but no $variables in the query, expected the name of a variable of the GraphQL query (dots lead inside it). The query has to declare it and use it. Write after."
  ],
  [
    "a token of an API that answers with rows",
    `${bare}  a: { path: /a, format: csv, incremental: { token: $.next, param: t } }\n`,
    "4:31 streams.a.incremental: found a value of the body, which is csv, expected `field`: a field of the records. Lines and rows hold records only; read by a field that grows."
  ],
  [
    "a token that the query also has",
    `${bare}  a: { path: /a, query: { t: x }, pagination: { cursor: $.n, param: c }, incremental: { token: $.next, param: t } }\n`,
    "4:104 streams.a.incremental.param: found the query parameter `t`, which `query` also sets, expected each parameter from one setting. Remove it from `query`."
  ],
  [
    "a start that is not a time",
    edited("start: 2026-01-01T00:00:00Z", "start: yesterday"),
    '21:74 streams.orders.incremental.start: found "yesterday", expected a time (RFC 3339) such as 2026-01-01T00:00:00Z. Write a time, or set `type: number`.'
  ],
  [
    "a page size that is never sent",
    edited("size: 50, ", ""),
    "34:31 streams.items.pagination.size_param: found `size_param` without `size`, expected both. Add `size: 100`, or remove `size_param`."
  ]
]
