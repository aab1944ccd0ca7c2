import { createHmac, createPrivateKey, type KeyObject, sign, constants } from "node:crypto"
import { dictOf, dictEntries } from "../expression/Dict.ts"
import { str } from "../expression/Repr.ts"
import { typeError, valueError } from "../expression/PyError.ts"
import { type Context, type PlainDict, PyCallable, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import { type Expressions, toData } from "./Expressions.ts"
import { parseJson, writeJson } from "./jsonText.ts"
import { failure } from "./RunError.ts"

const encoded = (value: PlainDict): string =>
  Buffer.from(
    // As Python writes it: compact, and letters beyond ASCII as escapes.
    writeJson(value).replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
  ).toString("base64url")

const privateKey = (pem: string, passphrase: string | undefined): KeyObject => {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) })
  } catch {
    throw failure(
      "Failed to sign token: the secret_key is no private key in PEM form, or its passphrase is wrong",
      "config_error"
    )
  }
}

const signature = (algorithm: string, text: string, key: string, passphrase: string | undefined): string => {
  const hash = `sha${algorithm.slice(-3)}`
  const data = Buffer.from(text)
  switch (algorithm.slice(0, 2)) {
    case "HS":
      return createHmac(hash, key).update(data).digest("base64url")
    case "RS":
      return sign(hash, data, privateKey(key, passphrase)).toString("base64url")
    case "PS":
      return sign(hash, data, {
        key: privateKey(key, passphrase),
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST
      }).toString("base64url")
    case "ES":
      return sign(algorithm === "ES256K" ? "sha256" : hash, data, {
        key: privateKey(key, passphrase),
        dsaEncoding: "ieee-p1363"
      }).toString("base64url")
    default:
      return sign(null, data, privateKey(key, passphrase)).toString("base64url")
  }
}

/** What its expressions know beside the config: the CDK gives them json.loads, for keys that are JSON documents. */
const known: Context = {
  json_loads: new PyCallable("json_loads", (args) => {
    const [text] = args
    if (typeof text !== "string") throw typeError("the JSON object must be str, bytes or bytearray")
    try {
      return parseJson(text)
    } catch {
      throw valueError("the text is not JSON")
    }
  })
}

const reservedHeaders = ["kid", "alg", "typ", "cty"]
const reservedClaims = ["iss", "sub", "aud", "iat", "exp", "nbf"]

/** Makes signed tokens: the component `JwtAuthenticator`. `now` is in seconds since 1970. */
export const jwtOf = (component: Component, expressions: Expressions) => {
  const { parameters } = component
  // The assertion of a client has texts for names (RFC 7523), however they look.
  const isAssertion = component.isSet("is_client_assertion")
  const evaluate = (template: Value | undefined): Value | undefined =>
    template === undefined || template === "" ? undefined : expressions.value(template, parameters, known)
  const named = (value: Value): Value => (isAssertion ? str(value) : toData(value))
  const mapping = (name: string, reserved: ReadonlyArray<string>): PlainDict => {
    const dict = dictOf(component.get(name))
    if (dict === undefined) return {}
    const plain = Object.fromEntries(dictEntries(dict).map(([key, value]): [string, Value] => [str(key), value]))
    const made = Object.fromEntries(
      expressions.mapping(plain, parameters, known).map(([key, value]): [string, Value] => [str(key), toData(value)])
    )
    const taken = reserved.find((key) => Object.hasOwn(made, key))
    return taken === undefined ? made : component.fail(name, `${taken} is reserved; set it in its own setting.`)
  }
  const headers = component.child("jwt_headers")
  const payload = component.child("jwt_payload")
  const algorithm = component.text("algorithm")
  const prefix = component.get("header_prefix")
  return (now: number): string => {
    const head: PlainDict = { ...mapping("additional_jwt_headers", reservedHeaders) }
    const ofHead: ReadonlyArray<readonly [string, Value | undefined]> = [
      ["kid", headers?.get("kid")],
      ["typ", headers === undefined ? "JWT" : (headers.get("typ") ?? "JWT")],
      ["cty", headers?.get("cty")]
    ]
    for (const [name, template] of ofHead) {
      const value = evaluate(template)
      if (value !== undefined) head[name] = named(value)
    }
    head["alg"] = algorithm
    const claims: PlainDict = { ...mapping("additional_jwt_payload", reservedClaims) }
    for (const name of ["iss", "sub", "aud"]) {
      const value = evaluate(payload?.get(name))
      if (value !== undefined) claims[name] = named(value)
    }
    const duration = component.get("token_duration") ?? 1200
    claims["iat"] = now
    claims["exp"] = now + (typeof duration === "number" ? duration : 0)
    if (!isAssertion) claims["nbf"] = now
    const secret = expressions.text(component.text("secret_key"), parameters, known)
    const encode = component.get("base64_encode_secret_key")
    const isEncoded = typeof encode === "string" ? expressions.condition(encode, parameters) : encode === true
    const passphrase = evaluate(component.get("passphrase"))
    const text = `${encoded(head)}.${encoded(claims)}`
    const hasPassphrase = passphrase !== undefined && passphrase !== null && passphrase !== ""
    const key = isEncoded && !hasPassphrase ? Buffer.from(secret).toString("base64") : secret
    const token = `${text}.${signature(algorithm, text, key, hasPassphrase ? str(passphrase) : undefined)}`
    const before = evaluate(prefix)
    return before === undefined || before === null || before === "" ? token : `${str(before)} ${token}`
  }
}
