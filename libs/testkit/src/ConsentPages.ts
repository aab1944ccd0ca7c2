// oxlint-disable-next-line typescript/triple-slash-reference -- declares the types of a package that has none, also for those who import this
/// <reference path="./oidc-provider.d.ts" />
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Provider } from "oidc-provider"

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")

const style =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem}" +
  "button{font:inherit;padding:.4rem 1rem;margin:.6rem .6rem 0 0}label{display:block}input[type=text]{font:inherit;width:100%}"

export const page = (title: string, content: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title><style>${style}</style>` +
  `<h1>${escape(title)}</h1>${content}</html>`

/** Answers a browser's form. */
export const readForm = async (request: IncomingMessage): Promise<URLSearchParams> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > 65_536) throw new Error("The form is too large.")
    chunks.push(bytes)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString())
}

interface Asked {
  readonly scopes: ReadonlyArray<string>
  readonly resources: Readonly<Record<string, ReadonlyArray<string>>>
}

const loginPage = (client: string) =>
  page(
    "Sign in",
    `<p>${escape(client)} wants access. This is a server for tests: any name will do.</p>` +
      `<form method="post"><label>Name <input type="text" name="login" value="person" autofocus required></label>` +
      `<button type="submit">Sign in</button><button type="submit" name="abort" value="yes" formnovalidate>Cancel</button></form>`
  )

const box = (name: string) =>
  `<label><input type="checkbox" name="scope" value="${escape(name)}" checked> ${escape(name)}</label>`

const consentPage = (client: string, { resources, scopes }: Asked) =>
  page(
    "Allow access",
    `<p>${escape(client)} asks for:</p><form method="post">${[...new Set([...scopes, ...Object.values(resources).flat()])].map(box).join("")}` +
      `<button type="submit">Allow</button><button type="submit" name="abort" value="yes">Deny</button></form>`
  )

/** What the server remembers of consents, so that it can take them back. */
export interface Consents {
  readonly grants: Set<string>
}

/** The pages where a person signs in, and allows or denies what a client asks for: a click each. */
export const interact = async (
  provider: Provider,
  { grants }: Consents,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> => {
  const { grantId, params, prompt, session } = await provider.interactionDetails(request, response)
  const scopes = prompt.details.missingOIDCScope ?? []
  const resources = prompt.details.missingResourceScopes ?? {}
  if (request.method !== "POST") {
    const html =
      prompt.name === "login" ? loginPage(params.client_id) : consentPage(params.client_id, { scopes, resources })
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(html)
    return
  }
  const form = await readForm(request)
  if (form.has("abort")) {
    const refused = { error: "access_denied", error_description: "The person said no." }
    await provider.interactionFinished(request, response, refused, { mergeWithLastSubmission: false })
    return
  }
  if (prompt.name === "login") {
    const result = { login: { accountId: form.get("login") ?? "person" } }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
    return
  }
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  const grant = known ?? new provider.Grant({ accountId: session?.accountId ?? "person", clientId: params.client_id })
  const allowed = new Set(form.getAll("scope"))
  for (const scope of scopes) {
    if (allowed.has(scope)) grant.addOIDCScope(scope)
    else grant.rejectOIDCScope(scope)
  }
  for (const [resource, wanted] of Object.entries(resources)) {
    for (const scope of wanted) {
      if (allowed.has(scope)) grant.addResourceScope(resource, scope)
      else grant.rejectResourceScope(resource, scope)
    }
  }
  if (prompt.details.missingOIDCClaims !== undefined) grant.addOIDCClaims(prompt.details.missingOIDCClaims)
  const saved = await grant.save()
  grants.add(saved)
  const consent = grantId === undefined ? { grantId: saved } : {}
  await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true })
}

interface PageContext {
  body: string
}

/** The pages of the device grant, without what the package's own ones load from elsewhere. */
export const devicePages = {
  userCodeInputSource: (context: PageContext, form: string, _out: unknown, error: unknown) => {
    context.body = page(
      "Enter the code",
      `${error === undefined ? "" : "<p>That code is not known, or has expired.</p>"}${form}` +
        `<button type="submit" form="op.deviceInputForm">Continue</button>`
    )
  },
  userCodeConfirmSource: (context: PageContext, form: string, _client: unknown, _device: unknown, code: string) => {
    context.body = page(
      "Is this your device?",
      `<p>It shows <code>${escape(code)}</code></p>${form}<button type="submit" form="op.deviceConfirmForm">Continue</button>` +
        `<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>`
    )
  },
  successSource: (context: PageContext) => {
    context.body = page("Done", "<p>The device is connected. This window can be closed.</p>")
  }
}
