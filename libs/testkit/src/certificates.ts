import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"

/** A certificate and its key; PEM. */
export interface Pair {
  readonly certificate: string
  readonly key: string
}

/** Makes keys and certificates with openssl, in a folder that goes with the scope. */
export const certificates = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-tls-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
).pipe(
  Effect.map((directory) => {
    const at = (name: string) => join(directory, name)
    const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { stdio: "pipe" })
    const text = (name: string) => readFileSync(at(name), "utf8")
    const keyArguments = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    const selfSigned = (name: string, ...more: ReadonlyArray<string>): Pair => {
      openssl(
        "req",
        "-x509",
        ...keyArguments,
        "-keyout",
        at(`${name}.key`),
        "-out",
        at(`${name}.crt`),
        "-days",
        "2",
        "-subj",
        `/CN=${name}`,
        ...more
      )
      return { certificate: text(`${name}.crt`), key: text(`${name}.key`) }
    }
    const signedBy = (authority: string, name: string, days = 2): Pair => {
      openssl("req", ...keyArguments, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`), "-subj", `/CN=${name}`)
      writeFileSync(at(`${name}.ext`), "subjectAltName=IP:127.0.0.1")
      const authorityFiles = ["-CA", at(`${authority}.crt`), "-CAkey", at(`${authority}.key`), "-CAcreateserial"]
      const certificate = ["-days", String(days), "-extfile", at(`${name}.ext`), "-out", at(`${name}.crt`)]
      openssl("x509", "-req", "-in", at(`${name}.csr`), ...authorityFiles, ...certificate)
      return { certificate: text(`${name}.crt`), key: text(`${name}.key`) }
    }
    const file = (name: string, content: string): string => {
      writeFileSync(at(name), content)
      return at(name)
    }
    return { selfSigned, signedBy, file, at }
  })
)
