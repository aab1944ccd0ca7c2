import { assert, it } from "@effect/vitest"
import { clean } from "../src/clean.ts"

it("removes secrets in every spelling that a server may echo", () => {
  const secret = "s3cr+t/ä & more"
  for (const spelled of [
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ x: secret }).toString().slice(2),
    Buffer.from(secret).toString("base64")
  ]) {
    assert.strictEqual(
      clean(`before ${spelled} after`, [secret, ""]).replace("==", ""),
      "before [secret] after",
      spelled
    )
  }
})

it("removes a secret that is encoded as RFC 6749 asks for, and as it does not", () => {
  const secret = "planted-secret_4.1~c"
  for (const spelled of [
    "planted%2Dsecret%5F4%2E1%7Ec",
    "planted%2dsecret%5f4%2e1%7ec",
    "planted-secret%5F4.1~c",
    [...secret].map((character) => `%${character.charCodeAt(0).toString(16)}`).join("")
  ]) {
    assert.strictEqual(clean(`no such client: client:${spelled}`, [secret]), "no such client: client:[secret]", spelled)
  }
})

it("removes secrets of any length", () => {
  for (const length of [255, 256, 257, 1000, 8000, 100_000]) {
    const secret = "planted /".repeat(length).slice(0, length)
    for (const spelled of [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ x: secret }).toString().slice(2)
    ]) {
      assert.strictEqual(clean(`no: ${spelled}.`, [secret]), "no: [secret].", String(length))
    }
  }
})

it("removes what looks like a token and keeps words, addresses and trace ids", () => {
  assert.strictEqual(
    clean("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl is bad", []),
    "token [removed] is bad"
  )
  for (const text of [
    "AADSTS70008: expired. Trace ID: 0f7a2b9c-1234-4abc-9def-0123456789ab",
    "see https://developer.example.com/docs/oauth2/errors#4711",
    "incomprehensibilities-and-other-long-words"
  ]) {
    assert.strictEqual(clean(text, []), text)
  }
})

it("is one line of bounded length", () => {
  assert.strictEqual(clean(" a\r\n\tb\u0000\u001b[31m\u202ec ", []), "a b [31m c")
  assert.strictEqual(clean("é ".repeat(1000), []).length, 301)
})
