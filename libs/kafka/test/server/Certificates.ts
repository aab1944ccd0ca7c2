import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A certificate and its key as PEM, and their files. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
  readonly certificateFile: string
  /** Key and certificate in one file, as the brokers' key store has them. */
  readonly storeFile: string
}

/** Why no certificates can be made; `undefined`: they can. */
export const missingOpenssl: string | undefined =
  spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0
    ? undefined
    : "openssl, which makes the certificates, is not installed"

const openssl = (...args: ReadonlyArray<string>): void => {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`openssl ${args.join(" ")} failed: ${stderr}`)
}

/** An authority of its own, with its files in a directory. Certificates are good for two days. */
export const makeAuthority = (directory: string, name: string) => {
  const file = (kind: string): string => join(directory, `${name}.${kind}`)
  const request = (subject: string, key: string): ReadonlyArray<string> => [
    ..."req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj".split(" "),
    subject,
    "-keyout",
    key
  ]
  openssl(...request(`/CN=${name}`, file("key")), "-x509", "-days", "2", "-out", file("pem"))
  const signing = ["-CA", file("pem"), "-CAkey", file("key"), "-CAcreateserial"]
  return {
    /** The authority's certificate, to be trusted. */
    certificate: readFileSync(file("pem"), "utf8"),
    certificateFile: file("pem"),
    /** A certificate for a subject, as in "/CN=worker", with names that it stands for, as in "DNS:localhost". Good for two days; with 0 it is over at once. */
    issue: (id: string, subject: string, alternatives?: string, days = 2): Certificate => {
      const at = (kind: string): string => file(`${id}.${kind}`)
      openssl(...request(subject, at("key")), "-out", at("csr"))
      writeFileSync(at("ext"), alternatives === undefined ? "" : `subjectAltName=${alternatives}\n`)
      openssl(
        "x509",
        "-req",
        "-in",
        at("csr"),
        "-extfile",
        at("ext"),
        "-out",
        at("pem"),
        ...signing,
        "-days",
        `${days}`
      )
      const certificate = readFileSync(at("pem"), "utf8")
      const key = readFileSync(at("key"), "utf8")
      writeFileSync(at("store"), key + certificate, { mode: 0o600 })
      return { certificate, key, certificateFile: at("pem"), storeFile: at("store") }
    }
  }
}
