// What may be set for docker-compose.yml and its overlays, as .env.example. Names and defaults are those of the compose files, and
// the settings of the services those of the code: one that is in neither, or not explained here, is an error.
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

interface Section {
  readonly title: string
  /** What each variable means, by name, in the order in which they are shown. */
  readonly variables: Readonly<Record<string, string>>
}

/** Variables that compose files read. */
const sections: ReadonlyArray<Section> = [
  {
    title: "Secrets. deploy/init-env.sh fills in random ones; nothing starts without them.",
    variables: {
      TRIBUTARY_VAULT_KEY:
        "The key that tokens in Redis are sealed with: base64 of 32 bytes, or where it is kept; several, separated by commas, while it is changed (docs/guides/secrets.md). Keep a copy elsewhere: without it every token is lost.",
      TRIBUTARY_CONTROL_TOKEN: "What callers of the control API have to show (Authorization: Bearer ...).",
      REDIS_PASSWORD: "Only letters, digits and _-.",
      CLICKHOUSE_PASSWORD: "Password of ClickHouse's user tributary. Only letters, digits and _-.",
      TRIBUTARY_LOAD_SECRET: "Of the load test: the secret of its API's client.",
      FLIGHTS_CLIENT_SECRET: "Of the example: the secret of the API's client.",
      FLIGHTS_SALT: "Of the example: the key that tail numbers are hashed with."
    }
  },
  {
    title: "What is run",
    variables: {
      CONNECTORS: "Folder with the connector files that `up` registers.",
      TRIBUTARY_IMAGE: "Image of the services: one from a registry is pulled, this one is built here.",
      SOURCES: "Workers with docker-compose.scale.yml.",
      TRANSFORMS: "",
      SINKS: "",
      FLIGHTS_ARGS: "Flags of the example API (examples/flights/README.md), as in --once --error-rate 0.",
      LOAD_ARGS: "Flags of the load test (docs/guides/load-test.md), as in --records 1000000 --rate 5000."
    }
  },
  {
    title: "How the services behave",
    variables: {
      TRIBUTARY_DRAIN_DEADLINE: "The longest that a service takes to stop in order.",
      STOP_GRACE_PERIOD: "When Docker kills a service that it has asked to stop; above the drain deadline.",
      TRIBUTARY_KAFKA_SESSION_TIMEOUT: "A worker that was not heard of for so long loses its share to the others.",
      TRIBUTARY_OAUTH_ALLOW_HTTP:
        "Let tokens travel over plain HTTP, which the example's API needs. Set it to false for any other.",
      TRIBUTARY_ALLOW_PRIVATE_ADDRESSES:
        "Addresses that are no public ones to which requests may be sent: true, false, or ranges such as 10.0.0.0/8. The example's API has one of Docker's.",
      TRIBUTARY_OAUTH_RATE: "Most token requests to one token endpoint, as in 600 per 1 minute. Empty: no limit.",
      TRIBUTARY_ALERT_WEBHOOK: "Address that alerts are posted to. Empty: none."
    }
  },
  {
    title: "Ports on 127.0.0.1",
    variables: {
      CONTROL_PORT: "Control API.",
      CLICKHOUSE_PORT: "ClickHouse, HTTP.",
      KAFKA_PORT: "Kafka.",
      REGISTRY_PORT: "Schema registry.",
      WEBHOOK_PORTS: "Webhooks: as many ports as there are sources, or more; each source takes one of them."
    }
  },
  {
    title: "More ports, with docker-compose.host.yml only",
    variables: {
      KAFKA_CONTROLLER_PORT: "",
      REGISTRY_MANAGEMENT_PORT: "",
      REDIS_PORT: "",
      CLICKHOUSE_TCP_PORT: "",
      API_PORT: "",
      SOURCE_PORT: "",
      SOURCE_2_PORT: "",
      WEBHOOK_PORT: "",
      WEBHOOK_2_PORT: "",
      TRANSFORM_PORT: "",
      TRANSFORM_2_PORT: "",
      SINK_PORT: "",
      SINK_2_PORT: "",
      LOAD_PORT: ""
    }
  },
  {
    title: "Limits of each container; no more processors than Docker has",
    variables: {
      KAFKA_CPUS: "",
      KAFKA_MEMORY: "",
      KAFKA_HEAP_OPTS: "",
      REGISTRY_CPUS: "",
      REGISTRY_MEMORY: "",
      REDIS_CPUS: "",
      REDIS_MEMORY: "",
      REDIS_MAXMEMORY: "Redis refuses to store more; below its limit.",
      CLICKHOUSE_CPUS: "",
      CLICKHOUSE_MEMORY: "",
      SERVICE_CPUS: "Of each of Tributary's services.",
      SERVICE_MEMORY: "",
      LOAD_CPUS: "",
      LOAD_MEMORY: ""
    }
  },
  {
    title: "Durability",
    variables: {
      KAFKA_FLUSH_MESSAGES:
        "Kafka writes to disk after so many messages; 1: before each batch is acknowledged. A large number leaves it to the system, which is quicker and loses the last half minute in a power cut."
    }
  }
]

/** Variables that docker-compose.yml sets itself. */
const fixed = new Set([
  "TRIBUTARY_KAFKA_BROKERS",
  "TRIBUTARY_KAFKA_REPLICATION",
  "TRIBUTARY_REGISTRY_URL",
  "TRIBUTARY_REDIS_URL",
  "TRIBUTARY_REDIS_PASSWORD",
  "TRIBUTARY_CLICKHOUSE_URL",
  "TRIBUTARY_CLICKHOUSE_USER",
  "TRIBUTARY_CLICKHOUSE_PASSWORD",
  "TRIBUTARY_WORKER"
])

/** Settings of the services that are none of the stack's: they go into the file tributary.env. */
const others: Readonly<Record<string, string>> = {
  TRIBUTARY_SECRETS_TTL: "how long a secret of a store is used before it is asked for again (5 minutes)",
  TRIBUTARY_SECRETS_TIMEOUT: "the longest that a store of secrets or a keeper of keys may take (10 seconds)",
  TRIBUTARY_HASHICORP_TOKEN_FILE: "HashiCorp Vault (with VAULT_ADDR): file with its token, in place of VAULT_TOKEN",
  TRIBUTARY_HASHICORP_ROLE_ID: "its AppRole",
  TRIBUTARY_HASHICORP_SECRET_ID: "",
  TRIBUTARY_HASHICORP_SECRET_ID_FILE: "",
  TRIBUTARY_HASHICORP_ROLE: "its role for Kubernetes service accounts",
  TRIBUTARY_HASHICORP_JWT_FILE: "",
  TRIBUTARY_HASHICORP_AUTH: "token, approle or kubernetes, where more than one is set",
  TRIBUTARY_HASHICORP_AUTH_MOUNT: "where the method is enabled, if not under its own name",
  TRIBUTARY_OAUTH_TIMEOUT: "the longest that a token endpoint may take (20 seconds)",
  TRIBUTARY_ALERT_AFTER: "failures in a row of an authorization that are an alert (5)",
  TRIBUTARY_RECONNECT_WARNING: "how long before its refresh token ends an authorization is an alert (14 days)",
  TRIBUTARY_AUDIT_BYTES: "size of each of the five files of the audit trail, where it is not on Kafka (8388608)",
  TRIBUTARY_METRICS_VALUES: "authorizations, and connectors, that have metrics of their own (500)",
  TRIBUTARY_WEBHOOK_LISTEN:
    "host:port at which webhooks are received, where a connector has such a stream (127.0.0.1:8790)",
  TRIBUTARY_KAFKA_SASL: "plain, scram-sha-256 or scram-sha-512, for brokers elsewhere",
  TRIBUTARY_KAFKA_USERNAME: "",
  TRIBUTARY_KAFKA_PASSWORD: "",
  TRIBUTARY_KAFKA_TLS: "true, or the path of a PEM file with the authorities to trust",
  TRIBUTARY_KAFKA_TLS_CERTIFICATE: "path of the client's certificate (PEM)",
  TRIBUTARY_KAFKA_TLS_KEY: "path of its key (PEM)",
  TRIBUTARY_REGISTRY_USER: "",
  TRIBUTARY_REGISTRY_PASSWORD: ""
}

const read = (file: string): string => readFileSync(join(root, file), "utf8")

const composeFiles = () => globSync("docker-compose*.yml", { cwd: root }).toSorted()

/** Every variable that the compose files read, with its default; `undefined` where they refuse to start without it. */
const readByCompose = (): ReadonlyMap<string, string | undefined> => {
  const found = new Map<string, string | undefined>()
  for (const file of composeFiles()) {
    for (const [, name = "", kind, rest] of read(file).matchAll(/(?<!\$)\$\{([A-Z][A-Z0-9_]*)(:-|:\?)([^}]*)\}/gu)) {
      const value = kind === ":-" ? rest : undefined
      if (found.has(name) && found.get(name) !== value) {
        throw new Error(`${file}: \${${name}} has the default "${value}", elsewhere in the compose files another one.`)
      }
      found.set(name, value)
    }
  }
  return found
}

/** Every setting that the services read. */
const readByServices = (): ReadonlySet<string> => {
  const files = globSync(["libs/*/src/**/*.ts", "services/*/src/**/*.ts"], { cwd: root }).filter(
    (file) => !/^(libs\/testkit|services\/load)\//u.test(file.replaceAll("\\", "/"))
  )
  return new Set(
    files.flatMap((file) => [...read(file).matchAll(/"(TRIBUTARY_[A-Z_]+)"/gu)].map(([, name = ""]) => name))
  )
}

const wrap = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const line = lines.at(-1)
    if (line === undefined || line.length + word.length > 110) lines.push(`# ${word}`)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}

/** The text of .env.example. */
export const composeEnvironment = (): string => {
  const compose = readByCompose()
  const services = readByServices()
  const explained = new Map(sections.flatMap(({ variables }) => Object.entries(variables)))
  const problems = [
    ...[...compose.keys()]
      .filter((name) => !explained.has(name))
      .map((name) => `${name} of the compose files is not explained`),
    ...[...explained.keys()].filter((name) => !compose.has(name)).map((name) => `${name} is in no compose file`),
    ...[...services]
      .filter((name) => !explained.has(name) && !fixed.has(name) && !(name in others))
      .map((name) => `the setting ${name} of the services is in no list`),
    ...[...fixed, ...Object.keys(others)]
      .filter((name) => !services.has(name))
      .map((name) => `${name} is no setting of the services`)
  ]
  if (problems.length > 0) throw new Error(`scripts/compose-env.ts:\n${problems.map((line) => `- ${line}`).join("\n")}`)

  const lines = [
    "# Settings of docker-compose.yml and its overlays. Written by `npm run gen`; deploy/init-env.sh makes .env of it.",
    "# Lines with a # in front show the default.",
    ""
  ]
  for (const { title, variables } of sections) {
    lines.push(`# ---- ${title}`)
    for (const [name, text] of Object.entries(variables)) {
      const value = compose.get(name)
      if (text !== "") lines.push("", ...wrap(text))
      lines.push(value === undefined ? `${name}=` : `# ${name}=${value}`)
    }
    lines.push("")
  }
  lines.push(
    ...wrap(
      "---- Not here: secrets that connectors name with ${env:...}, and the settings below, go into a file tributary.env beside docker-compose.yml, which is given to every service."
    ),
    ...Object.entries(others).map(([name, text]) => (text === "" ? `#   ${name}` : `#   ${name}: ${text}`))
  )
  return `${lines.join("\n")}\n`
}
