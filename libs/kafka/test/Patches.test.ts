import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execPath } from "node:process"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "vitest"
import { RequestQueue } from "../src/KafkajsInternals.ts"

describe("kafkajs, mended", () => {
  it("does not check an empty queue of requests for ever", () => {
    const queue = new RequestQueue({
      requestTimeout: 1000,
      enforceRequestTimeout: false,
      clientId: "test",
      broker: "test",
      logger: { debug: () => {} }
    })
    queue.checkPendingRequests()
    const timer = queue.throttleCheckTimeoutId
    queue.destroy()
    assert.isNull(timer, "npm install applies patches/kafkajs+2.2.4.patch (scripts/apply-patches.mjs)")
  })
})

describe("apply-patches", () => {
  const script = fileURLToPath(new URL("../../../scripts/apply-patches.mjs", import.meta.url))
  const root = mkdtempSync(join(tmpdir(), "tributary-patches-"))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  const file = join(root, "node_modules", "some", "index.js")
  const install = (version: string, text: string) => {
    mkdirSync(join(root, "node_modules", "some"), { recursive: true })
    mkdirSync(join(root, "patches"), { recursive: true })
    writeFileSync(join(root, "node_modules", "some", "package.json"), JSON.stringify({ version }))
    writeFileSync(file, text)
    writeFileSync(
      join(root, "patches", "some+1.0.0.patch"),
      "--- a/node_modules/some/index.js\n+++ b/node_modules/some/index.js\n@@ -1,3 +1,3 @@\n one\n-two\n+2 $& 2\n three\n"
    )
  }
  const run = () => spawnSync(execPath, [script, root], { encoding: "utf8" })

  it("changes what the patch says, once", () => {
    install("1.0.0", "zero\none\ntwo\nthree\nfour\n")
    assert.strictEqual(run().status, 0)
    assert.strictEqual(readFileSync(file, "utf8"), "zero\none\n2 $& 2\nthree\nfour\n")
    assert.match(run().stdout, /was applied already/)
    assert.strictEqual(readFileSync(file, "utf8"), "zero\none\n2 $& 2\nthree\nfour\n")
  })

  it("fails for another text, another version, and a package that is not there", () => {
    install("1.0.0", "something else\n")
    assert.match(run().stderr, /is not as expected/)
    assert.strictEqual(run().status, 1)
    install("1.0.1", "one\ntwo\nthree\n")
    assert.match(run().stderr, /some 1\.0\.1 is installed/)
    assert.strictEqual(readFileSync(file, "utf8"), "one\ntwo\nthree\n")
    rmSync(join(root, "node_modules"), { recursive: true })
    assert.match(run().stderr, /some is not installed/)
    assert.strictEqual(run().status, 1)
  })
})
