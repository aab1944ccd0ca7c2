import { isConsentGrant, nearest } from "@tributary/domain"
import {
  type Authorization,
  authorizationsOfConnector,
  type Consent,
  type Granted,
  makeConsent,
  type PendingConsent,
  ConsentError
} from "@tributary/oauth"
import { AuditTrail } from "@tributary/telemetry"
import { Clock, Duration, Effect, Redacted, Schema } from "effect"
import { type LoadedConnector, loadConnectors } from "./ConnectorFiles.ts"
import { canAsk, openBrowser, readLine } from "./ConsentBrowser.ts"
import { awaitRedirect } from "./ConsentRedirect.ts"
import { noteProblems } from "./FileProblems.ts"
import { duration, printable } from "./Format.ts"
import { Screen } from "./Screen.ts"

export interface ConsentOptions {
  readonly connectors: string
  /** Identifier; may be left out when there is one connector that needs consent. */
  readonly connector: string | undefined
  readonly how: "browser" | "device" | "paste" | "refresh-token"
  readonly timeout: Duration.Duration
  readonly json: boolean
}

/** No consent can be asked for, or none was given. */
export class NoConsent extends Schema.TaggedError<NoConsent>()("NoConsent", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

const needsPerson = ({ oauth2 }: Authorization) => isConsentGrant(oauth2.oauth2)

/** All that authorizes a connector. */
export const authorizationsOfLoaded = ({
  base,
  connector,
  further
}: Pick<LoadedConnector, "base" | "connector" | "further">) =>
  authorizationsOfConnector({ connector: connector.connector, auth: connector.auth, further }, base)

/**
 * The one connector that is meant, by its name or that of an authorization, and what authorizes it: all of it, or what was named.
 */
export const chooseConnector = Effect.fnUntraced(function* (
  { connector, connectors }: Pick<ConsentOptions, "connector" | "connectors">,
  isMeant: (authorization: Authorization) => boolean
) {
  const loaded = yield* loadConnectors(connectors)
  yield* noteProblems(loaded)
  const ids = loaded.connectors.map((one) => one.connector.connector)
  const candidates = loaded.connectors.filter((one) => authorizationsOfLoaded(one).some(isMeant))
  const chosen =
    connector === undefined
      ? candidates.length === 1
        ? candidates[0]
        : undefined
      : // Where several share an authorization, messages name that.
        (loaded.connectors.find((one) => one.connector.connector === connector) ??
        loaded.connectors.find((one) => authorizationsOfLoaded(one).some(({ id }) => id === connector)))
  if (chosen === undefined) {
    const meant = connector === undefined ? undefined : nearest(connector, ids)
    const among = connector === undefined ? candidates.map((one) => one.connector.connector) : ids
    return yield* new NoConsent({
      problem:
        (connector === undefined ? "Which connector?" : `There is no connector ${connector}.`) +
        ` ${connectors} has ${among.length === 0 ? "none that fits" : among.join(", ")}.` +
        (meant === undefined ? "" : ` Did you mean ${meant}?`)
    })
  }
  const all = authorizationsOfLoaded(chosen)
  const isNamed = connector !== undefined && chosen.connector.connector !== connector
  const meant = isNamed ? all.filter(({ id }) => id === connector) : all
  const [first, ...more] = meant
  if (first !== undefined) return { authorizations: [first, ...more] as const, connector: chosen.connector.connector }
  return yield* new NoConsent({
    problem: `Connector ${chosen.connector.connector} has no OAuth2 authorization (auth.oauth2), so there is nothing to do.`
  })
})

const refuseOthers = ({ id, oauth2 }: Authorization) =>
  isConsentGrant(oauth2.oauth2)
    ? Effect.void
    : new NoConsent({
        problem:
          oauth2.oauth2 === "refresh_token"
            ? `Connector ${id} takes its first refresh token from where \`refresh_token\` points to. Put one there, or write \`oauth2: authorization_code\` and remove \`refresh_token\`.`
            : `Connector ${id} uses the grant ${oauth2.oauth2}, which needs nobody's consent. Only authorization_code and device_code do.`
      })

const overdue = (id: string, timeout: Duration.Duration, advice: string) =>
  new ConsentError({
    authorization: id,
    reason: "expired",
    problem: `nobody consented within ${duration(Duration.toMillis(timeout))}.`,
    advice
  })

/** Asks in the person's browser, and waits for it at this machine. */
const byBrowser = Effect.fnUntraced(function* (id: string, consent: Consent, timeout: Duration.Duration) {
  const screen = yield* Screen
  const { redirectUri } = consent
  if (redirectUri.protocol !== "http:") {
    return yield* new NoConsent({
      problem: `The server sends the browser to ${redirectUri.host}, not to this machine (redirect_uri). Use --paste, and paste the address that the browser ends at.`
    })
  }
  const redirect = yield* awaitRedirect(redirectUri)
  const pending = yield* consent.begin(redirect.uri)
  const isOpened = yield* openBrowser(pending.url)
  yield* screen.note(
    isOpened
      ? `A browser was opened to ask for consent. If none is seen, open this address:\n\n  ${pending.url}\n`
      : `No browser can be opened from here. Open this address in a browser of this machine (for another one, use --device or --paste):\n\n  ${pending.url}\n`
  )
  const judged = Effect.gen(function* () {
    for (;;) {
      const { answer, parameters } = yield* redirect.arrival
      const result = yield* Effect.result(consent.finish(pending, parameters))
      if (result._tag === "Success") {
        yield* answer(true, `${id} can go on. This window can be closed.`)
        return result.success
      }
      const { failure } = result
      yield* answer(false, failure.message)
      // Anybody on this machine can send a browser here; the right answer may still come.
      const isForeign = failure._tag === "ConsentError" && failure.reason === "wrong-state"
      if (!isForeign) return yield* failure
      yield* screen.note(`${failure.message} Still waiting for the right one.`)
    }
  })
  return yield* Effect.timeoutOrElse(judged, {
    duration: timeout,
    orElse: () => overdue(id, timeout, "Run the command again, or give more time with --timeout.")
  })
}, Effect.scoped)

/** Shows a code that the person enters on another device. */
const byDevice = Effect.fnUntraced(function* (id: string, consent: Consent, timeout: Duration.Duration) {
  const screen = yield* Screen
  const prompt = yield* consent.beginDevice
  const left = prompt.expiresAt - (yield* Clock.currentTimeMillis)
  yield* screen.print(
    `Open ${printable(prompt.verificationUri)} on any device and enter the code:\n\n  ${printable(prompt.userCode)}\n` +
      (prompt.verificationUriComplete === undefined
        ? ""
        : `\nOr open this, which has the code in it:\n\n  ${printable(prompt.verificationUriComplete)}\n`) +
      `\nThe code is good for ${duration(left)}.`
  )
  return yield* Effect.timeoutOrElse(consent.awaitDevice(prompt), {
    duration: timeout,
    orElse: () => overdue(id, timeout, "Run the command again, or give more time with --timeout.")
  })
})

const pasted = Effect.fnUntraced(function* (id: string, timeout: Duration.Duration, what: string) {
  const screen = yield* Screen
  if (yield* canAsk) yield* screen.note(`Paste ${what}, then press Enter (it is not shown):`)
  const line = yield* Effect.timeoutOrElse(readLine, {
    duration: timeout,
    orElse: () => overdue(id, timeout, "Run the command again, or give more time with --timeout.")
  })
  if (line !== undefined) return line
  return yield* new NoConsent({
    problem: (yield* canAsk)
      ? "Nothing was pasted."
      : `Nothing was pasted: there is no terminal, and standard input is empty. Run the command in a terminal, or give it ${what} on standard input.`
  })
})

/** A code that was copied out of an address is encoded as addresses are: Google's, for one, have a slash in them. */
const plainCode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What a person copied: the whole address that the browser ended at, its query, or the code alone. */
const finishPasted = (consent: Consent, pending: PendingConsent, text: string) => {
  if (URL.canParse(text) && /^https?:/iu.test(text)) {
    const url = new URL(text)
    const wanted = new URL(pending.redirectUri)
    return url.origin === wanted.origin && url.pathname === wanted.pathname
      ? consent.finish(pending, url.searchParams)
      : Effect.fail(
          new NoConsent({
            problem: `The pasted address is one of ${url.host}${url.pathname}; the one that the browser was sent to begins with ${wanted.origin}${wanted.pathname}. Paste the last address, after consent was given.`
          })
        )
  }
  if (/(^|[?&])(code|error)=/u.test(text)) {
    return consent.finish(pending, new URLSearchParams(text.replace(/^[^?]*\?/u, "")))
  }
  return consent.finishWithCode(pending, Redacted.make(plainCode(text)))
}

const byPaste = Effect.fnUntraced(function* (id: string, consent: Consent, timeout: Duration.Duration) {
  const screen = yield* Screen
  const pending = yield* consent.begin(consent.redirectUri)
  yield* screen.note(
    `Open this address in any browser and allow access:\n\n  ${pending.url}\n\n` +
      "The browser is then sent to an address that may not open. Copy that address, or the code in it."
  )
  return yield* finishPasted(consent, pending, yield* pasted(id, timeout, "the address or the code"))
})

/** Tries out a refresh token that the person has, and stores what comes of it. */
const byRefreshToken = Effect.fnUntraced(function* (id: string, consent: Consent, timeout: Duration.Duration) {
  const line = yield* pasted(id, timeout, "the refresh token")
  return yield* consent.adopt(Redacted.make(line))
})

const until = (expiresAt: number | undefined, now: number) =>
  expiresAt === undefined ? "for a time that the server does not tell" : `for ${duration(Math.max(0, expiresAt - now))}`

const report = Effect.fnUntraced(function* (id: string, granted: Granted, json: boolean) {
  const screen = yield* Screen
  const now = yield* Clock.currentTimeMillis
  const missing = granted.asked.filter((scope) => !granted.granted.includes(scope))
  const more = granted.granted.filter((scope) => !granted.asked.includes(scope))
  const { expiresAt, hasRefreshToken, identity, isRefreshTokenLost } = granted
  if (json) {
    const { asked, granted: scopes } = granted
    return yield* screen.print(
      JSON.stringify({
        connector: id,
        asked,
        granted: scopes,
        missing,
        expiresAt: expiresAt ?? null,
        refreshToken: hasRefreshToken,
        refreshTokenLost: isRefreshTokenLost,
        account: identity?.account ?? identity?.subject ?? null
      })
    )
  }
  const marks = [
    ...granted.asked.map((scope) =>
      missing.includes(scope) ? `  - ${scope} (asked for, not granted)` : `  + ${printable(scope)}`
    ),
    ...more.map((scope) => `  + ${printable(scope)} (granted, not asked for)`)
  ]
  const whose = identity === undefined ? "" : ` by ${printable(identity.account ?? identity.subject)}`
  yield* screen.print(
    [
      `${id}: consent was given${whose}, and is stored.`,
      ...(marks.length === 0 ? [] : ["Scopes:", ...marks]),
      `The access token is good ${until(expiresAt, now)}; ${
        hasRefreshToken
          ? "it is refreshed by itself."
          : "there is no refresh token, so consent is needed again then. Many servers give one only for a scope such as offline_access, or a parameter such as access_type=offline (`authorization_params`)."
      }`,
      "A connector that waits for it goes on within seconds."
    ].join("\n")
  )
  if (isRefreshTokenLost) {
    yield* screen.note(
      "The tokens of the earlier consent, which had a refresh token, were replaced: the newest consent counts. Let the server send a refresh token, and consent once more."
    )
  }
  if (missing.length > 0) {
    yield* screen.note(
      `Not everything was granted: streams that need ${missing.join(", ")} will be refused by the API.`
    )
  }
})

/** Notes who may act for the person from now on; that a refresh token was put in is told apart from what a person was asked. */
const audited = Effect.fnUntraced(function* (authorization: string, connector: string, how: ConsentOptions["how"]) {
  const { record } = yield* AuditTrail
  const detail = how === "refresh-token" ? "a refresh token that existed already was stored" : "consent of a person"
  yield* record({ authorization, connectors: [connector], what: "obtained", outcome: "ok", detail })
})

/** Asks a person for their consent, and stores what they grant where the connector finds it. */
export const runConsent = Effect.fn("cli.consent")(function* (options: ConsentOptions) {
  const screen = yield* Screen
  const { authorizations, connector } = yield* chooseConnector(options, needsPerson)
  const asking = authorizations.filter(needsPerson)
  if (asking.length > 1) {
    return yield* new NoConsent({
      problem: `Which authorization of ${connector}? It has ${asking.map(({ id }) => id).join(", ")}. Name one of them in place of the connector.`
    })
  }
  const authorization = asking[0] ?? authorizations[0]
  yield* refuseOthers(authorization)
  const { id, oauth2 } = authorization
  const consent = yield* makeConsent(authorization)
  const how = options.how === "browser" && oauth2.oauth2 === "device_code" ? "device" : options.how
  if (how === "refresh-token") {
    const { expiresAt } = yield* byRefreshToken(id, consent, options.timeout)
    const now = yield* Clock.currentTimeMillis
    yield* audited(id, connector, how)
    return yield* screen.print(
      options.json
        ? JSON.stringify({ connector: id, refreshToken: true, expiresAt: expiresAt ?? null })
        : `${id}: the refresh token works, and is stored with its successors. The access token is good ${until(expiresAt, now)}.`
    )
  }
  const granted = yield* how === "device"
    ? byDevice(id, consent, options.timeout)
    : how === "paste"
      ? byPaste(id, consent, options.timeout)
      : byBrowser(id, consent, options.timeout)
  yield* audited(id, connector, how)
  yield* report(id, granted, options.json)
})
