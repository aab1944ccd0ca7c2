import { assert, describe, it } from "@effect/vitest"
import { addressGuard } from "@tributary/oauth"
import { Config, ConfigProvider, Effect } from "effect"
import { addressKind } from "../src/guard/addressKind.ts"

const guardOf = (setting?: string) =>
  Effect.provideService(
    addressGuard,
    ConfigProvider.ConfigProvider,
    ConfigProvider.fromEnvRecord(setting === undefined ? {} : { TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: setting })
  )

describe("addresses", () => {
  it("are told apart, however they are written", () => {
    const cases = {
      public: [
        "8.8.8.8",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808"
      ],
      loopback: [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0:0:0:0:0:ffff:127.0.0.1",
        "::127.0.0.1"
      ],
      private: [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "fd12:3456::1",
        "fc00::1",
        "fec0::1",
        "::ffff:10.1.2.3",
        "::ffff:a01:203",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::"
      ],
      "link-local": ["169.254.1.1", "fe80::1", "fe80::1%eth0", "febf::1", "::ffff:169.254.1.1"],
      metadata: [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16"
      ],
      reserved: [
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "2001:db8::1",
        "ff02::1",
        "::ffff:0:127.0.0.1",
        "::ffff:0:a9fe:a9fe",
        "4000::1",
        "1::1",
        "host",
        ""
      ]
    }
    for (const [kind, addresses] of Object.entries(cases)) {
      for (const address of addresses) assert.strictEqual(addressKind(address), kind, address)
    }
  })
})

describe("the guard", () => {
  it.effect("lets public addresses through, and this machine's under its own name only", () =>
    Effect.gen(function* () {
      const guard = yield* guardOf()
      for (const [host, address] of [
        ["api.example", "8.8.8.8"],
        ["localhost", "127.0.0.1"],
        ["api.localhost", "::1"],
        ["127.0.0.1", "127.0.0.1"]
      ] as const) {
        assert.strictEqual(guard.refusal(host, address), undefined, `${host} ${address}`)
      }
      for (const address of ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"]) {
        assert.match(
          guard.refusal("api.example", address)?.message ?? "",
          /api\.example has the \S+ address \S+, where nothing is sent to.*TRIBUTARY_ALLOW_PRIVATE_ADDRESSES=/
        )
      }
    })
  )

  it.effect("lets through what is allowed, and metadata services only where they are named", () =>
    Effect.gen(function* () {
      const all = yield* guardOf("true")
      assert.strictEqual(all.refusal("api.example", "10.0.0.1"), undefined)
      assert.strictEqual(all.refusal("api.example", "127.0.0.1"), undefined)
      for (const address of ["169.254.169.254", "169.254.1.1", "fd00:ec2::254", "0.0.0.0"]) {
        assert.isDefined(all.refusal("api.example", address), address)
      }
      const some = yield* guardOf("10.1.0.0/16, fd00:1::/32 169.254.169.254")
      for (const address of ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1:2::3", "169.254.169.254"]) {
        assert.strictEqual(some.refusal("api.example", address), undefined, address)
      }
      for (const address of ["10.2.0.1", "fd00:2::1", "169.254.169.253"]) {
        assert.isDefined(some.refusal("api.example", address), address)
      }
    })
  )

  it.effect("refuses a setting that it does not understand", () =>
    Effect.gen(function* () {
      for (const wrong of ["yes", "10.0.0.0/33", "10.0.0.0/8/8", "fe80::1%eth0", "10.0.0.0/8;fd00::/8"]) {
        const error = yield* Effect.flip(guardOf(wrong))
        assert.instanceOf(error, Config.ConfigError)
        assert.match(error.message, /true, false, or addresses and ranges/, wrong)
      }
    })
  )
})
