import { createHmac } from "node:crypto"
import { request } from "node:http"
import { afterAll, assert, describe, it } from "vitest"
import { endAll, folder, planted, removeFolders, type Run } from "./support.ts"

afterAll(async () => {
  await endAll()
  removeFolders()
})

const file = `connector: shop
streams:
  orders:
    webhook: { signature: github, secret: "\${env:SECRET}" }
    primary_key: id
`

/** Sends a delivery; status 0: nobody is there. */
const deliver = (url: string, name: string): Promise<number> =>
  new Promise((resolve) => {
    const body = `{"id":"${name}"}`
    const signature = createHmac("sha256", planted.secret).update(body).digest("hex")
    const headers = { "x-hub-signature-256": `sha256=${signature}`, "x-github-delivery": name, connection: "close" }
    const asked = request(url, { method: "POST", headers }, (answer) => {
      answer.resume()
      answer.on("end", () => resolve(answer.statusCode ?? 0))
      answer.on("error", () => resolve(0))
    })
    asked.on("error", () => resolve(0))
    asked.end(body)
  })

/** Where the command says that it receives. */
const address = async (run: Run): Promise<string> => {
  const said = () => /received at (http:\S+\/webhooks\/shop\/orders)/u.exec(run.out() + run.err())?.[1]
  await run.until("it receives", () => said() !== undefined)
  return said() ?? ""
}

describe("webhooks of tributary run", () => {
  it("are published once, although it is killed while they come and they are all sent again", async () => {
    const at = folder({ "shop.yaml": file })
    const env = { TRIBUTARY_WEBHOOK_LISTEN: "127.0.0.1:0" }
    const first = at.run(["run"], env)
    const url = await address(first)
    const names = Array.from({ length: 120 }, (_, index) => `n${index}`)
    let answered = 0
    const statuses = await Promise.all(
      names.map(async (name, index) => {
        // A few at a time, so that some are before the kill and some after it.
        await first.until("its turn has come", () => answered >= index - 10 || first.child.exitCode !== null)
        const status = await deliver(url, name)
        if (++answered === 60) first.child.kill("SIGKILL")
        return status
      })
    )
    await first.ended
    assert.isAtLeast(statuses.filter((status) => status === 200).length, 40)
    assert.include(statuses, 0)

    const second = at.run(["run"], env)
    const again = await address(second)
    for (const name of names) assert.strictEqual(await deliver(again, name), 200)
    second.child.kill("SIGTERM")
    assert.strictEqual((await second.ended).code, 0)

    const once = await at.run(["run", "--once", "--json"]).ended
    assert.strictEqual(once.code, 0, once.err)
    const tap = await at.run(["tap", "raw.shop.orders", "--json"]).ended
    const found = [...tap.out.matchAll(/"id":\s*\\?"(n\d+)/gu)].map(([, name]) => name)
    assert.deepStrictEqual(found.toSorted(), names.toSorted(), tap.out.slice(0, 500))
  })
})
