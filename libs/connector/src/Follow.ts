import { foundIn, inPath, scrub, shownUrl } from "./Found.ts"
import type { RequestDraft, Requester } from "./slots/index.ts"
import { ForeignUrl, NoNextPage } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

/**
 * An address that the API gave, as it may be kept: without its origin, credentials and secrets. It is refused when it
 * leads to another origin.
 */
export const linkTo = (
  text: string,
  answer: Answer,
  { url: { origin } }: RequestDraft,
  { pathSecrets = [], secretParameters, secrets }: Requester
): { readonly url: string } | NoNextPage | ForeignUrl => {
  if (!URL.canParse(text, answer.target.href)) {
    return new NoNextPage({
      url: answer.url,
      problem: "the next page's address is no address.",
      found: foundIn(Buffer.from(text), secrets)
    })
  }
  const url = new URL(text, answer.target)
  url.hash = ""
  if (url.origin !== origin) {
    const next = scrub(shownUrl(url, new Set()), secrets)
    return new ForeignUrl({ url: answer.url, next, expected: origin })
  }
  url.username = ""
  url.password = ""
  for (const name of secretParameters.keys()) url.searchParams.delete(name)
  let path = url.pathname
  pathSecrets.forEach((secret, index) => {
    if (secret !== "") path = path.replaceAll(inPath(secret), place(index))
  })
  return { url: `${path}${url.search}` }
}

/** Stands for a secret in a path that is kept; no path of an address has braces. */
const place = (index: number): string => `{secret:${index}}`

/** Sends a request to an address that was kept. */
export const followUrl = (
  draft: RequestDraft,
  url: string,
  { pathSecrets = [], secretParameters }: Requester
): void => {
  let address = url
  // A function, as the text of a secret may have what `replaceAll` gives a meaning.
  pathSecrets.forEach((secret, index) => (address = address.replaceAll(place(index), () => inPath(secret))))
  draft.url = new URL(address, draft.url.origin)
  for (const [name, value] of secretParameters) draft.url.searchParams.set(name, value)
}
