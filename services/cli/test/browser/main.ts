// Consent in a real browser: `tributary consent` in a process of its own, the testkit's authorization server, and Chromium, whose
// person clicks what there is to click. Run by `npm run test:browser`; says so when there is no Chromium.
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as delay } from "node:timers/promises"
import { startConsentServer } from "@tributary/testkit/consent"
import { type Browser, chromium, type Page } from "playwright-core"

const command = join(import.meta.dirname, "..", "..", "src", "main.ts")
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

const onPath = (name: string): string | undefined => {
  const found = spawnSync("sh", ["-c", 'command -v "$0"', name], { encoding: "utf8" })
  return found.status === 0 ? found.stdout.trim() : undefined
}

/** Chromium: the one that the environment names, the machine's, or Debian's package where this may install it. */
const browserPath = (): string | undefined => {
  const named = process.env["TRIBUTARY_CHROMIUM"]
  if (named !== undefined && existsSync(named)) return named
  const find = () =>
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
      .map(onPath)
      .find((path) => path !== undefined)
  const installed = find()
  if (installed !== undefined) return installed
  if (process.getuid?.() !== 0 || onPath("apt-get") === undefined) return undefined
  say("No Chromium here; trying apt-get install chromium.")
  spawnSync("apt-get", ["update", "-qq"], { stdio: "ignore", timeout: 120_000 })
  spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], {
    stdio: "ignore",
    timeout: 300_000
  })
  return find()
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface Ended {
  readonly code: number | null
  readonly said: string
}

const until = async <A>(what: string, look: () => A | undefined): Promise<A> => {
  const end = performance.now() + 60_000
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`Not within a minute: ${what}.`)
    await delay(50)
  }
}

const folder = mkdtempSync(join(tmpdir(), "tributary-browser-"))
const opened = join(folder, "opened")

/** Runs the command; what it opens as the person's browser is written to a file. */
const consent = (...args: ReadonlyArray<string>): { readonly ended: Promise<Ended>; readonly said: () => string } => {
  const child = spawn(
    process.execPath,
    [command, "consent", "shop", ...args, "-c", folder, "--data", join(folder, "data")],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], BROWSER: join(folder, "browser.sh") }
    }
  )
  let said = ""
  child.stdout.on("data", (part: Buffer) => (said += part.toString()))
  child.stderr.on("data", (part: Buffer) => (said += part.toString()))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, said }))
  })
  return { ended, said: () => said }
}

/** What the command opened. */
const address = () =>
  until("the command opens a browser", () => (existsSync(opened) ? readFileSync(opened, "utf8") : undefined))

const signIn = async (page: Page, name: string) => {
  await page.getByLabel("Name").fill(name)
  await page.getByRole("button", { name: "Sign in" }).click()
}

/** Each with a browser that remembers nothing. */
const checks: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  "consent is given": async (page) => {
    rmSync(opened, { force: true })
    const running = consent()
    await page.goto(await address())
    await signIn(page, "ada")
    await page.getByRole("button", { name: "Allow" }).click()
    await page.getByRole("heading", { name: "Consent given" }).waitFor()
    const { code, said } = await running.ended
    assert.equal(code, 0, said)
    assert.match(said, /shop: consent was given by ada, and is stored\./u)
    assert.doesNotMatch(said, /code=|access_token|refresh_token=/u)
  },
  "one scope is not granted": async (page) => {
    rmSync(opened, { force: true })
    const running = consent()
    await page.goto(await address())
    await signIn(page, "ada")
    await page.getByLabel("api:write").uncheck()
    await page.getByRole("button", { name: "Allow" }).click()
    await page.getByRole("heading", { name: "Consent given" }).waitFor()
    assert.match((await running.ended).said, /- api:write \(asked for, not granted\)/u)
  },
  "consent is denied": async (page) => {
    rmSync(opened, { force: true })
    const running = consent()
    await page.goto(await address())
    await signIn(page, "ada")
    await page.getByRole("button", { name: "Deny" }).click()
    await page.getByRole("heading", { name: "No consent" }).waitFor()
    const { code, said } = await running.ended
    assert.equal(code, 1)
    assert.match(said, /access was denied/u)
  },
  "a device's code is entered": async (page) => {
    const running = consent("--device")
    const [, place = "", code = ""] = await until(
      "a code is shown",
      () => /Open (\S+) on any device and enter the code:\n\n {2}(\S+)/u.exec(running.said()) ?? undefined
    )
    await page.goto(place)
    await page.locator("input[name=user_code]").fill(code)
    await page.getByRole("button", { name: "Continue" }).click()
    await page.getByText(code).waitFor()
    await page.getByRole("button", { name: "Continue" }).click()
    await signIn(page, "ada")
    await page.getByRole("button", { name: "Allow" }).click()
    await page.getByText("The device is connected").waitFor()
    const ended = await running.ended
    assert.equal(ended.code, 0, ended.said)
  }
}

const run = async (browser: Browser): Promise<number> => {
  let failed = 0
  for (const [name, check] of Object.entries(checks)) {
    const context = await browser.newContext()
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    try {
      await check(page)
      say(`ok      ${name}`)
    } catch (error) {
      failed++
      say(
        `FAILED  ${name}\n${error instanceof Error ? error.stack : String(error)}\n${await page.content().catch(() => "")}`
      )
    } finally {
      await context.close()
    }
  }
  return failed
}

const executablePath = browserPath()
if (executablePath === undefined) {
  say(
    "skipped: consent in a real browser, because no Chromium is here. Install it, or name one with TRIBUTARY_CHROMIUM."
  )
} else {
  const server = await startConsentServer()
  writeFileSync(
    join(folder, "shop.yaml"),
    `connector: shop
auth:
  oauth2: authorization_code
  issuer: ${server.issuer}
  client_id: app
  client_auth: none
  scopes: [openid, offline_access, "api:read", "api:write"]
  resource: ${server.api}
  authorization_params: { prompt: consent }
http: { base_url: "${server.api}" }
streams:
  orders: { path: /orders, records: "$.data[*]", primary_key: id }
`
  )
  // Written whole, then seen.
  writeFileSync(
    join(folder, "browser.sh"),
    `#!/bin/sh\nprintf '%s' "$1" > '${opened}.part' && mv '${opened}.part' '${opened}'\n`
  )
  chmodSync(join(folder, "browser.sh"), 0o700)
  const browser = await chromium.launch({ executablePath, args: [...flags], headless: true })
  try {
    say(`Consent in ${executablePath} (${browser.version()}) against ${server.issuer}`)
    process.exitCode = (await run(browser)) === 0 ? 0 : 1
  } finally {
    await browser.close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
