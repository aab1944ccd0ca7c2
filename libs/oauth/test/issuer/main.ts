// `npm run test:oauth`: the token layer against authorization servers of other people's making. Without --issuer against
// oidc-provider (the testkit's) and a second one that shares no code with it; with --issuer against any.
import process from "node:process"
import { parseArgs } from "node:util"
import { startConsentServer } from "@tributary/testkit/consent"
import { Effect } from "effect"
import { startSecondServer } from "./SecondServer.ts"
import { runSuite, type Target } from "./suite.ts"

const usage = `npm run test:oauth -- [--issuer URL --client-id ID] [options]

Without --issuer the suite runs against two servers of its own. With it:
  --client-auth WAY     basic, basic_raw, post or none; default: basic with a secret, else none
  --scope "A B"         default: openid offline_access
  --resource URI        resource indicator (RFC 8707)
  --redirect-uri URI    as registered; default: http://127.0.0.1/callback
  --field NAME=VALUE    fills in the login page's form; may be repeated. Secrets better by OAUTH_FIELD_<NAME>
  --no-login            the server asks nobody, or has a session already
  --service-id ID       client for client_credentials; default: --client-id
Environment: OAUTH_CLIENT_SECRET, OAUTH_SERVICE_SECRET, OAUTH_REFRESH_TOKEN (it may be used up), OAUTH_FIELD_<NAME>.
`

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const { values } = parseArgs({
  options: {
    issuer: { type: "string" },
    "client-id": { type: "string" },
    "client-auth": { type: "string" },
    scope: { type: "string", default: "openid offline_access" },
    resource: { type: "string" },
    "redirect-uri": { type: "string" },
    field: { type: "string", multiple: true, default: [] },
    "no-login": { type: "boolean", default: false },
    "service-id": { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const given = (name: string): string | undefined => {
  const value = process.env[name]
  return value === undefined || value === "" ? undefined : value
}

/** The server that the arguments name. */
const named = (issuer: string): Target => {
  const fields: Record<string, string> = {}
  for (const field of values.field) {
    const [name = "", ...rest] = field.split("=")
    fields[name] = rest.join("=")
  }
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith("OAUTH_FIELD_") && value !== undefined) fields[name.slice(12).toLowerCase()] = value
  }
  const clientId = values["client-id"] ?? ""
  const serviceSecret = given("OAUTH_SERVICE_SECRET")
  return {
    name: issuer,
    issuer,
    clientId,
    clientSecret: given("OAUTH_CLIENT_SECRET"),
    clientAuth: values["client-auth"],
    scopes: values.scope.split(" ").filter((scope) => scope !== ""),
    resource: values.resource,
    ...(serviceSecret === undefined
      ? {}
      : { service: { clientId: values["service-id"] ?? clientId, clientSecret: serviceSecret } }),
    fields: Object.keys(fields).length > 0 || values["no-login"] ? fields : undefined,
    redirectUri: values["redirect-uri"],
    refreshToken: given("OAUTH_REFRESH_TOKEN")
  }
}

let failed = 0

const report = async (target: Target): Promise<void> => {
  say(`\n${target.name}`)
  const outcomes = await Effect.runPromise(
    runSuite(target).pipe(
      Effect.catch((error) =>
        Effect.succeed([
          { check: "the suite", result: "FAILED" as const, why: error instanceof Error ? error.message : "" }
        ])
      )
    )
  )
  for (const { check, result, why } of outcomes) say(`  ${result.padEnd(8)}${check}${why === "" ? "" : ` (${why})`}`)
  const of = (result: string) => outcomes.filter((outcome) => outcome.result === result).length
  say(`  ${of("ok")} ok, ${of("lenient")} lenient, ${of("skipped")} skipped, ${of("FAILED")} failed`)
  failed += of("FAILED")
}

const ours = async (): Promise<void> => {
  const server = await startConsentServer()
  const { service, web } = server.clients
  try {
    await report({
      name: `oidc-provider (testkit) at ${server.issuer}`,
      issuer: server.issuer,
      clientId: web.id,
      clientSecret: web.secret,
      clientAuth: undefined,
      scopes: ["openid", "offline_access", "api:read"],
      resource: server.api,
      service: { clientId: service.id, clientSecret: service.secret ?? "" },
      fields: {},
      redirectUri: undefined,
      refreshToken: undefined
    })
  } finally {
    await server.stop()
  }
}

const second = async (): Promise<void> => {
  const server = await startSecondServer()
  if ("missing" in server) return say(`\nskipped: mock-oauth2-server, because ${server.missing}`)
  try {
    await report({
      name: `mock-oauth2-server at ${server.issuer}`,
      issuer: server.issuer,
      clientId: "tributary",
      clientSecret: "any secret",
      clientAuth: undefined,
      scopes: ["openid", "offline_access"],
      resource: undefined,
      fields: {},
      redirectUri: undefined,
      refreshToken: undefined
    })
  } finally {
    await server.stop()
  }
}

if (values.help) {
  say(usage)
} else if (values.issuer === undefined) {
  await ours()
  await second()
} else if (!URL.canParse(values.issuer) || values["client-id"] === undefined) {
  process.stderr.write(`--issuer needs an address, and --client-id.\n\n${usage}`)
  process.exitCode = 2
} else {
  await report(named(values.issuer))
}
if (failed > 0) process.exitCode = 1
