import { Redacted } from "effect"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"

export interface Tls {
  /** Certificates of the authorities that are trusted (PEM), instead of the system's. */
  readonly ca?: string
  /** The client's own certificate and key (PEM), for brokers that ask for it. */
  readonly certificate?: string
  readonly key?: Redacted.Redacted
}

/** What the parts of `Tls` are called where they are set. */
const names = {
  ca: "the authorities' certificates (the file that TRIBUTARY_KAFKA_TLS names)",
  certificate: "this client's certificate (the file that TRIBUTARY_KAFKA_TLS_CERTIFICATE names)",
  key: "this client's key (the file that TRIBUTARY_KAFKA_TLS_KEY names)"
} as const

const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/gu
const certificateKinds = new Set(["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"])

const parsed = <A>(parse: () => A): A | undefined => {
  try {
    return parse()
  } catch {
    // Why is left out: the reasons of OpenSSL say nothing to anybody, and may quote.
    return undefined
  }
}

/** What a text holds instead of certificates. Nothing of it is quoted: it may be a key. */
const found = (pem: string): string => {
  const kinds = Array.from(pem.matchAll(block), ([, kind]) => kind)
  if (kinds.some((kind = "") => certificateKinds.has(kind))) return "holds a certificate that is damaged"
  if (kinds.length > 0) return `holds ${[...new Set(kinds)].join(", ").toLowerCase()}`
  if (pem.trim() === "") return "is empty"
  return /[^\s\x20-\x7e]/u.test(pem) ? "is binary, perhaps DER or a key store" : "is text of another kind"
}
const toPem = "A certificate in DER becomes PEM by: openssl x509 -inform der -in <file> -out <file>.pem"

/** The certificates of a PEM text; none when it has none, or one that cannot be read. */
const certificatesOf = (pem: string): ReadonlyArray<X509Certificate> => {
  const certificates: Array<X509Certificate> = []
  for (const [text, kind = ""] of pem.matchAll(block)) {
    if (!certificateKinds.has(kind)) continue
    const certificate = parsed(() => new X509Certificate(text))
    if (certificate === undefined) return []
    certificates.push(certificate)
  }
  return certificates
}

const certificateProblem = (what: string, pem: string): string =>
  `${what} cannot be used: expected certificates in PEM form, found that it ${found(pem)}. ${toPem}`

const keyProblem = (pem: string, certificate: X509Certificate): string | undefined => {
  if (pem.includes("ENCRYPTED")) {
    return `${names.key} is encrypted. Expected one without a passphrase: openssl pkey -in <file> -out <file>.pem`
  }
  const key: KeyObject | undefined = parsed(() => createPrivateKey(pem))
  if (key === undefined) {
    return `${names.key} cannot be used: expected a private key in PEM form, found that it ${found(pem)}. Name the file of the key.`
  }
  return certificate.checkPrivateKey(key)
    ? undefined
    : `${names.key} does not belong to ${names.certificate}. Name the key that the certificate was made for.`
}

/** What is wrong with the certificates of this client at a time (milliseconds since 1970), before anything is connected. */
export const tlsProblem = ({ ca, certificate, key }: Tls, now: number): string | undefined => {
  if (ca !== undefined && certificatesOf(ca).length === 0) return certificateProblem(names.ca, ca)
  if (certificate === undefined || key === undefined) {
    return certificate === key
      ? undefined
      : `${certificate === undefined ? names.key : names.certificate} is given alone. Name certificate and key, or neither.`
  }
  const [own] = certificatesOf(certificate)
  if (own === undefined) return certificateProblem(names.certificate, certificate)
  const from = own.validFromDate.getTime()
  const to = own.validToDate.getTime()
  if (now > to || now < from) {
    const what = now > to ? `expired on ${own.validTo}` : `is only valid from ${own.validFrom} on`
    return `${names.certificate} ${what}. Have a new one issued; if it is the right one, check this machine's clock.`
  }
  return keyProblem(Redacted.value(key), own)
}

/** The settings of Node's TLS. */
export const sslOf = (tls: boolean | Tls | undefined): object | null => {
  if (tls === undefined || tls === false) return null
  if (tls === true) return {}
  return {
    ...(tls.ca === undefined ? {} : { ca: [tls.ca] }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.key === undefined ? {} : { key: Redacted.value(tls.key) })
  }
}

const untrusted = /^(UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_)/u
/** Alerts (RFC 8446, section 6) that a broker sends when it wants a certificate, or another one. */
const refused =
  /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA|CERTIFICATE_(UNKNOWN|EXPIRED|REVOKED)|UNSUPPORTED_CERTIFICATE)$/u

const codeOf = (error: Error): string => ("code" in error && typeof error.code === "string" ? error.code : "")

/** kafkajs' words before those of Node. */
const wordsOf = (error: Error): string => error.message.replace(/^Connection error: /u, "").replace(/\.+$/u, "")

/** Says what an error of TLS at a broker means and what to do; `undefined` when it is none that is known. */
export const explainTls = (error: Error, ssl: object): string | undefined => {
  const code = codeOf(error)
  const hasOwn = "cert" in ssl
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    const what = code === "CERT_HAS_EXPIRED" ? "has expired" : "is not valid yet"
    return `the broker's certificate, or that of its authority, ${what} (${code}). Renew it at the broker; if it is a good one, check this machine's clock`
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `the broker's certificate is for another name: ${wordsOf(error)}. Name the broker (here, and in its advertised.listeners) by a name of its certificate, or give it a certificate with this one (subjectAltName)`
  }
  if (untrusted.test(code)) {
    const how =
      "ca" in ssl
        ? "that TRIBUTARY_KAFKA_TLS does not name. Add the certificate of that authority to its file"
        : "that this machine does not know. Let TRIBUTARY_KAFKA_TLS be the path of a file with the certificate of that authority"
    return `the broker's certificate was issued by an authority ${how}, in PEM (${code}: ${wordsOf(error)})`
  }
  const alert = refused.exec(code)?.[1]
  if (alert === undefined) return undefined
  const words = alert.toLowerCase().replaceAll("_", " ")
  return hasOwn
    ? `the broker refused this client's certificate (TLS alert "${words}"). It has to be issued by an authority in the broker's ssl.truststore, to be valid now, and to be for clients; see TRIBUTARY_KAFKA_TLS_CERTIFICATE`
    : `the broker asks for a certificate of the client, and none was given (TLS alert "${words}"). Set TRIBUTARY_KAFKA_TLS_CERTIFICATE and TRIBUTARY_KAFKA_TLS_KEY, or name the port that asks for none`
}
