/** What a manifest asks for, and where. */
import { ExpressionError, type PlainDict, type Value } from "../../../src/index.ts"
import type { Expressions } from "../../../src/component/Expressions.ts"
import type { UsedComponent } from "../../../src/manifest/support.ts"
import { type Address, addressOf } from "./address.ts"
import { dictIn, listIn, own } from "./config.ts"
import { fewFor } from "./generations.ts"
import { type Mention, mentionsIn, textsIn } from "./mentions.ts"
import { onePage, type Paging, pagingOf } from "./paging.ts"
import { instantOf, leafFor, put, recordOf } from "./values.ts"

/** What one component expects in an answer. */
export interface Endpoint {
  readonly address: Address
  readonly method: string
  /** Where the records stand; undefined where the answer has none. */
  readonly recordsAt: ReadonlyArray<string> | undefined
  readonly make: (number: number, seed: number) => PlainDict
  readonly paging: Paging
  readonly decoder: PlainDict | undefined
  /** What the answer has beside records. */
  readonly fixed: PlainDict
  /** Files come without a content type, which the CDK cannot read where it has one part only. */
  readonly isUntyped?: boolean
  /** An answer for any address that nothing else answers. */
  readonly isTemplate: boolean
  /** It gives a token. */
  readonly isLogin?: boolean
}

const noRecord = (): PlainDict => ({})

const evaluated = (expressions: Expressions, template: Value, parameters: PlainDict): Value => {
  try {
    return expressions.value(template, parameters)
  } catch (error) {
    if (error instanceof ExpressionError) return typeof template === "string" ? template : null
    throw error
  }
}

const pathOf = (expressions: Expressions, component: PlainDict, name: string): ReadonlyArray<string> =>
  listIn(own(component, name)).map((part) =>
    String(evaluated(expressions, part, dictIn(own(component, "$parameters"))))
  )

const methodOf = (requester: PlainDict): string => String(own(requester, "http_method") ?? "GET").toUpperCase()

/** A time as a cursor's format has it. */
const timeIn = (expressions: Expressions, format: string, number: number, isText: boolean): Value => {
  try {
    const made = expressions.value("{{ format_datetime(instant, format) }}", {}, { instant: instantOf(number), format })
    return isText && typeof made === "number" ? String(made) : made
  } catch (error) {
    if (error instanceof ExpressionError) return instantOf(number)
    throw error
  }
}

/** What the records of a stream need beside what its schema says. */
interface Needs {
  readonly schema: PlainDict
  readonly cursor: PlainDict
  readonly mentions: ReadonlyArray<Mention>
  readonly keys: ReadonlyArray<ReadonlyArray<string>>
  readonly added: ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly from: ReadonlyArray<Mention> }>
}

const typesAt = (schema: PlainDict, path: ReadonlyArray<string>): ReadonlyArray<Value> => {
  let node = schema
  for (const part of path) node = dictIn(own(dictIn(own(node, "properties")), part))
  const type = own(node, "type")
  return Array.isArray(type) ? type : type === undefined ? [] : [type]
}

const recordMaker = (expressions: Expressions, needs: Needs): Endpoint["make"] => {
  const { added, cursor, keys, mentions, schema } = needs
  const field = String(
    evaluated(expressions, own(cursor, "cursor_field") ?? "", dictIn(own(cursor, "$parameters"))) ?? ""
  )
  const given = listIn(own(cursor, "cursor_datetime_formats")).map(String)
  const formats = given.length > 0 ? given : [String(own(cursor, "datetime_format") ?? "%Y-%m-%d")]
  const isCount = own(cursor, "type") === "IncrementingCountCursor"
  const isText = typesAt(schema, [field]).includes("string")
  const sources = added.filter(({ path }) => path.length === 1 && path[0] === field).flatMap(({ from }) => from)
  return (number, seed) => {
    const record = recordOf(schema, number)
    for (const mention of mentions) {
      if (mention.path.length > 0) put(record, mention.path, leafFor(mention, number))
    }
    for (const path of keys) {
      const types = typesAt(schema, path)
      const isNumber = types.includes("integer") || types.includes("number")
      put(record, path, isNumber ? number : `${path.at(-1) ?? "key"}-${number}`, true)
    }
    if (field !== "") {
      const format = formats[number % formats.length] ?? ""
      const value = isCount ? number : timeIn(expressions, format, number + seed, isText)
      put(record, [field], value, true)
      for (const { path } of sources) if (path.length > 0) put(record, path, value, true)
    }
    if (Object.keys(record).length === 0) record["id"] = number
    return record
  }
}

const roots = new Set(["record", "components_values", "raw_schema"])

const keysOf = (primaryKey: Value | undefined): ReadonlyArray<ReadonlyArray<string>> => {
  if (typeof primaryKey === "string") return primaryKey === "" ? [] : [[primaryKey]]
  return listIn(primaryKey).map((key) => (Array.isArray(key) ? key.map(String) : [String(key)]))
}

const schemaOf = (loader: Value | undefined): PlainDict => {
  const loaders = Array.isArray(loader) ? loader : loader === undefined ? [] : [loader]
  const properties: PlainDict = {}
  for (const one of loaders) Object.assign(properties, dictIn(own(own(one, "schema"), "properties")))
  return { type: "object", properties }
}

const addedIn = (stream: PlainDict) =>
  listIn(own(stream, "transformations")).flatMap((transformation) =>
    listIn(own(transformation, "fields")).map((field) => ({
      path: listIn(own(field, "path")).map(String),
      from: [...textsIn(own(field, "value"))].flatMap((text) => mentionsIn(text, roots))
    }))
  )

/** Keys by which children know the records of a stream. */
const parentKeys = (expressions: Expressions, parents: ReadonlyArray<PlainDict>, name: string) =>
  parents.flatMap((parent) => {
    if (own(own(parent, "stream"), "name") !== name) return []
    const parameters = dictIn(own(parent, "$parameters"))
    const key = String(evaluated(expressions, own(parent, "parent_key") ?? "id", parameters))
    const extra = listIn(own(parent, "extra_fields")).map((path) => listIn(path).map(String))
    return [key.replace(/^\/+/, "").split("/"), ...extra]
  })

/** Records that describe the fields of a dynamic schema. */
const schemaRecord = (expressions: Expressions, loader: PlainDict): PlainDict => {
  const identifier = dictIn(own(loader, "schema_type_identifier"))
  const maps = listIn(own(identifier, "types_mapping"))
  const pointer = (name: string) => pathOf(expressions, identifier, name)
  const described = (maps.length > 0 ? maps : [{}]).slice(0, 60).map((map, index) => {
    const field: PlainDict = {}
    put(field, pointer("key_pointer"), `field ${index}`, true)
    const type = own(map, "current_type") ?? "string"
    if (pointer("type_pointer").length > 0) put(field, pointer("type_pointer"), type, true)
    const condition = String(own(map, "condition") ?? "")
    // What the condition compares with makes it hold; what it wants to be missing is.
    const wanted = /(?:==|\bin)\s*\[?\s*(?:'([^']*)'|"([^"]*)")/.exec(condition)
    const isNegated = /\{\{\s*not\b/.test(condition)
    for (const mention of mentionsIn(condition, roots)) {
      if (mention.root !== "raw_schema" || mention.path.length === 0) continue
      if (isNegated) put(field, mention.path.slice(0, -1), {})
      else put(field, mention.path, wanted?.[1] ?? wanted?.[2] ?? leafFor(mention, index))
    }
    return field
  })
  const record: PlainDict = { id: "schema" }
  const at = pointer("schema_pointer")
  if (at.length === 0) return described[0] ?? record
  put(record, at, described, true)
  return record
}

/** What the manifest's components ask for. */
export const endpointsOf = (expressions: Expressions, used: ReadonlyArray<UsedComponent>): ReadonlyArray<Endpoint> => {
  const all: Array<Endpoint> = []
  const parents = used.filter(({ type }) => type === "ParentStreamConfig").map(({ data }) => data)
  const propertyNames: ReadonlyArray<string> = ["id", "name", "first", "second"]

  const few = fewFor(
    used.flatMap(({ data, type }) => (type === "DeclarativeStream" ? [dictIn(own(data, "retriever"))] : []))
  )
  const parentStreams = new Set(parents.map((parent) => String(own(own(parent, "stream"), "name"))))

  /** A stream of windows or partitions is walked through many times; only small pages of it are filled. */
  const isManyWalks = (stream: PlainDict): boolean => {
    const retriever = dictIn(own(stream, "retriever"))
    const strategy = dictIn(own(own(retriever, "paginator"), "pagination_strategy"))
    const isMany = (own(retriever, "partition_router") ?? own(own(stream, "incremental_sync"), "step") ?? null) !== null
    return isMany && !(Number(own(strategy, "page_size") ?? 0) <= 10)
  }

  const addSimple = (retriever: PlainDict, make: Endpoint["make"], isTemplate: boolean, isParent: boolean) => {
    const requester = dictIn(own(retriever, "requester"))
    const selector = dictIn(own(retriever, "record_selector"))
    const used = own(retriever, "decoder")
    const paging = pagingOf(expressions, dictIn(own(retriever, "paginator")), requester)
    all.push({
      address: addressOf(expressions, requester),
      method: methodOf(requester),
      recordsAt: pathOf(expressions, dictIn(own(selector, "extractor")), "field_path"),
      make,
      paging: isParent ? few(paging, retriever) : paging,
      decoder: used === undefined || used === null ? undefined : dictIn(used),
      fixed: {},
      isTemplate
    })
  }

  let reports = 0
  const addAsync = (retriever: PlainDict, make: Endpoint["make"], isTemplate: boolean) => {
    const mapping = dictIn(own(retriever, "status_mapping"))
    const file = `https://files.example.com/report-${++reports}`
    const fixed: PlainDict = { id: "job-1" }
    for (const text of textsIn([
      own(retriever, "polling_requester"),
      own(retriever, "download_requester"),
      own(retriever, "delete_requester"),
      own(retriever, "abort_requester"),
      own(retriever, "download_target_requester")
    ])) {
      for (const mention of mentionsIn(text, new Set(["creation_response", "polling_response"]))) {
        if (mention.path.length > 0 && mention.path[0] !== "headers" && mention.path[0] !== "request")
          put(fixed, mention.path, `${String(mention.path.at(-1))}-1`)
      }
    }
    const status = pathOf(expressions, dictIn(own(retriever, "status_extractor")), "field_path")
    put(fixed, status, listIn(own(mapping, "completed"))[0] ?? "done", true)
    const target = dictIn(own(retriever, "download_target_extractor"))
    const at = pathOf(expressions, target, "field_path")
    if (at.length > 0)
      put(
        fixed,
        at.filter((part) => part !== "*"),
        "https://files.example.com/report-1",
        true
      )
    for (const name of [
      "creation_requester",
      "polling_requester",
      "download_target_requester",
      "abort_requester",
      "delete_requester"
    ]) {
      const requester = dictIn(own(retriever, name))
      if (Object.keys(requester).length === 0) continue
      all.push({
        address: addressOf(expressions, requester),
        method: methodOf(requester),
        recordsAt: undefined,
        make: noRecord,
        paging: onePage,
        decoder: undefined,
        fixed,
        isTemplate
      })
    }
    const download = dictIn(own(retriever, "download_requester"))
    const extractor = dictIn(own(retriever, "download_extractor"))
    const decoder = own(retriever, "download_decoder")
    const isFile = own(extractor, "type") === "ResponseToFileExtractor"
    const address = addressOf(expressions, download)
    const isTarget = [...textsIn([own(download, "url"), own(download, "url_base"), own(download, "path")])].some(
      (text) => text.includes("download_target")
    )
    all.push({
      address: isTarget ? { pattern: new RegExp(`^${file.replaceAll(".", "\\.")}$`), weight: file.length } : address,
      method: methodOf(download),
      recordsAt: pathOf(expressions, extractor, "field_path"),
      make,
      paging: pagingOf(expressions, dictIn(own(retriever, "download_paginator")), download),
      decoder: isFile
        ? { type: "CsvDecoder" }
        : decoder === undefined || decoder === null
          ? undefined
          : dictIn(decoder),
      fixed: {},
      isUntyped: isFile,
      isTemplate
    })
  }

  const addRetriever = (retriever: PlainDict, make: Endpoint["make"], isTemplate: boolean, isParent = false) => {
    if (own(retriever, "type") === "AsyncRetriever") addAsync(retriever, make, isTemplate)
    else addSimple(retriever, make, isTemplate, isParent)
  }

  for (const { data, path, type } of used) {
    const isTemplate = path.startsWith("dynamic_streams") && path.includes("stream_template")
    switch (type) {
      case "DeclarativeStream": {
        const retriever = dictIn(own(data, "retriever"))
        const selector = dictIn(own(retriever, "record_selector"))
        const texts = [
          ...textsIn(own(data, "transformations")),
          ...textsIn(own(selector, "record_filter")),
          ...textsIn(own(own(selector, "extractor"), "record_expander"))
        ]
        const make = recordMaker(expressions, {
          schema: schemaOf(own(data, "schema_loader")),
          cursor: dictIn(own(data, "incremental_sync")),
          mentions: texts.flatMap((text) => mentionsIn(text, roots)),
          keys: [...keysOf(own(data, "primary_key")), ...parentKeys(expressions, parents, String(own(data, "name")))],
          added: addedIn(data)
        })
        addRetriever(retriever, make, isTemplate, parentStreams.has(String(own(data, "name"))) || isManyWalks(data))
        break
      }
      case "HttpComponentsResolver": {
        const texts = [...textsIn(own(data, "components_mapping"))]
        const mentions = texts.flatMap((text) => mentionsIn(text, roots))
        const make = recordMaker(expressions, { schema: {}, cursor: {}, mentions, keys: [["id"], ["name"]], added: [] })
        addRetriever(dictIn(own(data, "retriever")), make, false)
        break
      }
      case "DynamicSchemaLoader":
        addRetriever(dictIn(own(data, "retriever")), () => schemaRecord(expressions, data), isTemplate)
        break
      case "PropertiesFromEndpoint": {
        const at = pathOf(expressions, data, "property_field_path")
        const make = (number: number): PlainDict => {
          const record: PlainDict = {}
          put(record, at, propertyNames[number % propertyNames.length] ?? "id", true)
          return record
        }
        addRetriever(dictIn(own(data, "retriever")), make, false)
        break
      }
      case "OAuthAuthenticator": {
        const text = (name: string, fallback: string) =>
          String(evaluated(expressions, own(data, name) ?? fallback, dictIn(own(data, "$parameters"))))
        const url = text("token_refresh_endpoint", "")
        const format = own(data, "token_expiry_date_format")
        const expiry: Value =
          // Whatever the format says, the CDK reads a time of ISO 8601.
          typeof format === "string" ? "2024-03-01T00:00:00Z" : 3600
        all.push({
          address: addressOf(expressions, { url }),
          method: "POST",
          recordsAt: undefined,
          make: noRecord,
          paging: onePage,
          decoder: undefined,
          fixed: {
            [text("access_token_name", "access_token")]: "synthetic-token",
            [text("expires_in_name", "expires_in")]: expiry,
            token_type: "Bearer"
          },
          isTemplate: false,
          isLogin: true
        })
        break
      }
      case "SessionTokenAuthenticator": {
        const requester = dictIn(own(data, "login_requester"))
        const fixed: PlainDict = {}
        put(fixed, listIn(own(data, "session_token_path")).map(String), "synthetic-session", true)
        const decoder = own(data, "decoder")
        all.push({
          address: addressOf(expressions, requester),
          method: methodOf(requester),
          recordsAt: undefined,
          make: noRecord,
          paging: onePage,
          decoder: decoder === undefined || decoder === null ? undefined : dictIn(decoder),
          fixed,
          isTemplate: false,
          isLogin: true
        })
        break
      }
      case "LegacySessionTokenAuthenticator": {
        const key = String(own(data, "session_token_response_key") ?? "id")
        const path = String(own(data, "login_url") ?? "")
        all.push({
          address: { pattern: new RegExp(`${path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`), weight: path.length },
          method: "POST",
          recordsAt: undefined,
          make: noRecord,
          paging: onePage,
          decoder: undefined,
          fixed: { [key]: "synthetic-session" },
          isTemplate: false,
          isLogin: true
        })
        break
      }
      default:
    }
  }
  return all
}
