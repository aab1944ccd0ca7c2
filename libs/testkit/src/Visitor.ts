/** What a person does on the pages of a server. */
export interface Conduct {
  /** Scopes that are allowed; default: all that are asked for. Empty: access is denied. */
  readonly allow?: ReadonlyArray<string>
  /** Fields that forms are filled in with, by name. */
  readonly fields?: Readonly<Record<string, string>>
}

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
}

/** A page with a form, or the address outside of the server that the browser was sent to. */
type Place = { readonly away: URL } | { readonly page: string; readonly url: URL }

const attribute = (tag: string, name: string): string | undefined => {
  const match = new RegExp(`\\s${name}=(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, "iu").exec(tag)
  const value = match?.[1] ?? match?.[2] ?? match?.[3]
  return value?.replaceAll("&quot;", '"').replaceAll("&amp;", "&")
}

/** So many pages and redirects are gone through at most. */
const longestWay = 30

/**
 * A person with a browser without a screen: follows redirects, keeps cookies, and fills in the forms of login, consent and device
 * pages. Runs no scripts.
 */
export class Visitor {
  private cookies: Array<Cookie> = []

  private async go(url: URL, home: string, form?: URLSearchParams): Promise<Place> {
    let target = url
    let body = form
    for (let hops = 0; hops < longestWay; hops++) {
      // oxlint-disable-next-line eslint/no-restricted-globals -- a browser of its own, outside of any Effect
      const response = await fetch(target, {
        redirect: "manual",
        headers: { cookie: this.cookiesFor(target), accept: "text/html" },
        ...(body === undefined ? {} : { method: "POST", body })
      })
      for (const line of response.headers.getSetCookie()) this.keep(line)
      const location = response.headers.get("location")
      if (response.status < 300 || response.status >= 400 || location === null) {
        const page = await response.text()
        if (!response.ok)
          throw new Error(`The server answered ${response.status} at ${target.pathname}: ${page.slice(0, 300)}`)
        return { page, url: target }
      }
      await response.body?.cancel()
      target = new URL(location, target)
      if (target.origin !== home) return { away: target }
      body = undefined
    }
    throw new Error("The server redirects without end.")
  }

  /** Opens an address and does what its pages want, until the server sends the browser away. Returns where to. */
  async visit(address: string, conduct: Conduct = {}): Promise<URL> {
    const place = await this.until(address, conduct, () => false)
    if ("away" in place) return place.away
    throw new Error(`The server shows a page instead of sending the browser back: ${place.page.slice(0, 300)}`)
  }

  /** Opens the address of the device grant and confirms the code; returns the last page. */
  async enter(address: string, code: string, conduct: Conduct = {}): Promise<string> {
    const fields = { ...conduct.fields, user_code: code }
    const place = await this.until(address, { ...conduct, fields }, (page) => !page.includes("<form"))
    if ("page" in place) return place.page
    throw new Error(`The server sent the browser to ${place.away.host}.`)
  }

  private async until(address: string, conduct: Conduct, isLast: (page: string) => boolean): Promise<Place> {
    const start = new URL(address)
    let place = await this.go(start, start.origin)
    for (let pages = 0; pages < longestWay && "page" in place; pages++) {
      if (isLast(place.page)) return place
      const next = this.fillIn(place.page, place.url, conduct)
      if (next === undefined) return place
      place = await this.go(next.action, start.origin, next.form)
    }
    return place
  }

  private fillIn(page: string, url: URL, { allow, fields = {} }: Conduct) {
    const start = page.indexOf("<form")
    if (start < 0) return undefined
    const tag = page.slice(start, page.indexOf(">", start) + 1)
    // Buttons may stand outside of their form; inputs do not.
    const body = page.slice(start, page.indexOf("</form>", start))
    const form = new URLSearchParams()
    for (const [input] of body.matchAll(/<input[^>]*>/giu)) {
      const name = attribute(input, "name")
      if (name === undefined) continue
      const value = fields[name] ?? attribute(input, "value") ?? ""
      if (attribute(input, "type") === "checkbox" && allow !== undefined && !allow.includes(value)) continue
      form.append(name, value)
    }
    const abort = /<button[^>]*name="abort"[^>]*>/iu.exec(page)
    if (abort !== null && allow?.length === 0) form.set("abort", attribute(abort[0], "value") ?? "yes")
    return { action: new URL(attribute(tag, "action") ?? "", url), form }
  }

  private cookiesFor({ pathname }: URL): string {
    return this.cookies
      .filter(({ path }) => pathname.startsWith(path))
      .map(({ name, value }) => `${name}=${value}`)
      .join("; ")
  }

  private keep(line: string): void {
    const [pair = "", ...rest] = line.split(";").map((part) => part.trim())
    const equals = pair.indexOf("=")
    const name = pair.slice(0, equals)
    const path = rest.find((part) => /^path=/iu.test(part))?.slice(5) ?? "/"
    this.cookies = this.cookies.filter((cookie) => cookie.name !== name || cookie.path !== path)
    const value = pair.slice(equals + 1)
    if (value !== "") this.cookies.push({ name, value, path })
  }
}
