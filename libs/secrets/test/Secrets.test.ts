import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Environment, Secrets } from "@tributary/secrets"
import { chmodSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { temporaryDirectory } from "./support.ts"

const environment = { SHOP_SECRET: "s3cret", SHOP_ID: "shop", EMPTY: "" }

const withSecrets = <A, E>(work: (secrets: Secrets["Service"], base: string) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const base = yield* temporaryDirectory
    return yield* Effect.flatMap(Secrets, (secrets) => work(secrets, base)).pipe(
      Effect.provide(Secrets.layer, { local: true }),
      Effect.provideService(Environment, environment)
    )
  })

describe("Secrets", () => {
  it.effect("reads variables and files", () =>
    withSecrets((secrets, base) =>
      Effect.gen(function* () {
        writeFileSync(join(base, "token"), "from file\n")
        const read = (reference: string, from = base) => Effect.map(secrets.secret(reference, from), Redacted.value)
        assert.strictEqual(yield* read("${env:SHOP_SECRET}"), "s3cret")
        assert.strictEqual(yield* read("${file:./token}"), "from file")
        assert.strictEqual(yield* read(`\${file:${join(base, "token")}}`, "/"), "from file")
        writeFileSync(join(base, "token"), "  two\nlines\r\n\n")
        assert.strictEqual(yield* read("${file:token}"), "  two\nlines\r\n", "only the last line break is dropped")
      })
    )
  )

  it.effect("replaces references inside a text", () =>
    withSecrets((secrets, base) =>
      Effect.gen(function* () {
        writeFileSync(join(base, "host"), "id.example\n")
        assert.strictEqual(
          yield* secrets.text("https://${env:SHOP_ID}.${file:host}/$x{y}", base),
          "https://shop.id.example/$x{y}"
        )
        assert.strictEqual(yield* secrets.text("no reference", base), "no reference")
        const error = yield* Effect.flip(secrets.text("https://${valt:kv}", base))
        assert.match(error.message, /^\$\{valt:kv\}: .*\$\{env:NAME\}, \$\{file:path\}/)
      })
    )
  )

  it.effect("reads a file anew when it changes: its content, or the file in its place", () =>
    withSecrets((secrets, base) =>
      Effect.gen(function* () {
        const path = join(base, "token")
        const read = Effect.map(secrets.secret("${file:token}", base), Redacted.value)
        writeFileSync(path, "first")
        assert.strictEqual(yield* read, "first")
        writeFileSync(path, "second!")
        assert.strictEqual(yield* read, "second!")
        // Same size and times, but another file, as a rename leaves it.
        writeFileSync(`${path}.new`, "third!!")
        utimesSync(path, 1000, 1000)
        assert.strictEqual(yield* read, "second!")
        utimesSync(`${path}.new`, 1000, 1000)
        renameSync(`${path}.new`, path)
        assert.strictEqual(yield* read, "third!!")
        rmSync(path)
        assert.match((yield* Effect.flip(read)).message, /there is no file/)
      })
    )
  )

  const table: ReadonlyArray<readonly [string, RegExp]> = [
    ["${env:SHOP_SECERT}", /SHOP_SECERT is not set\. Did you mean SHOP_SECRET, which is set\?/],
    ["${env:NOTHING_LIKE_IT}", /NOTHING_LIKE_IT is not set\. Set it where/],
    ["${env:EMPTY}", /EMPTY is empty/],
    ["${file:missing}", /there is no file .*missing/],
    ["${file:folder}", /is not a file/],
    ["${file:empty}", /is empty/],
    ["${file:large}", /has 1048577 bytes/],
    ["${file:binary}", /not UTF-8/],
    ["${FOO}", /no reference that is known/],
    ["hunter2", /a secret is written as a reference/],
    ["x${env:SHOP_ID}", /a secret is written as a reference/]
  ]
  for (const [reference, message] of table) {
    it.effect(`explains ${reference}`, () =>
      withSecrets((secrets, base) =>
        Effect.gen(function* () {
          mkdirSync(join(base, "folder"))
          writeFileSync(join(base, "empty"), "\n")
          writeFileSync(join(base, "large"), Buffer.alloc(1_048_577, 65))
          writeFileSync(join(base, "binary"), Buffer.from([0xff, 0xfe, 0xfd]))
          const error = yield* Effect.flip(secrets.secret(reference, base))
          assert.match(error.message, message)
          assert.strictEqual(error.failureClass, "misconfigured")
          for (const value of ["s3cret", "hunter2"]) assert.notInclude(error.message, value)
        })
      )
    )
  }

  it.effect("explains a file that may not be read", () =>
    withSecrets((secrets, base) =>
      Effect.gen(function* () {
        writeFileSync(join(base, "closed"), "x")
        chmodSync(join(base, "closed"), 0)
        chmodSync(base, 0o755)
        // Nothing is closed to root: the file is read as nobody.
        if (process.getuid?.() === 0) {
          process.seteuid?.(65_534)
          yield* Effect.addFinalizer(() => Effect.sync(() => process.seteuid?.(0)))
        }
        assert.match((yield* Effect.flip(secrets.secret("${file:closed}", base))).message, /may not be read/)
      }).pipe(Effect.scoped)
    )
  )
})
