import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { type Manifest, specOf } from "../manifest/Manifest.ts"
import { secretPaths, textAt } from "./ConfigSchema.ts"
import type { Message } from "./Message.ts"

const within = (value: Value | undefined, name: string): PlainDict | undefined => {
  const inner = value !== undefined && value !== null && isPlainDict(value) ? value[name] : undefined
  return inner !== undefined && inner !== null && isPlainDict(inner) ? inner : undefined
}

/** A flow of consent with the CDK's default of how scopes are joined. */
const withDefaults = (auth: Value): Value => {
  const configuration = within(auth, "oauth_config_specification")
  const input = within(configuration, "oauth_connector_input_specification")
  if (input === undefined || !isPlainDict(auth)) return auth
  return {
    ...auth,
    oauth_config_specification: {
      ...configuration,
      oauth_connector_input_specification: { scopes_join_strategy: "space", ...input }
    }
  }
}

/** What a manifest says of its config, as a SPEC message. */
export const specMessage = (manifest: Manifest): Message => {
  const spec = specOf(manifest)
  const url = spec?.["documentation_url"]
  const auth = spec?.["advanced_auth"]
  return {
    type: "SPEC",
    spec: {
      connectionSpecification: spec?.["connection_specification"] ?? {},
      ...(url === undefined || url === null ? {} : { documentationUrl: url }),
      ...(auth === undefined || auth === null ? {} : { advanced_auth: withDefaults(auth) }),
      supportsNormalization: false,
      supportsDBT: false
    }
  }
}

/** The JSON Schema of a manifest's config; empty where it has none. */
export const connectionSpecification = (manifest: Manifest): PlainDict => {
  const given = specOf(manifest)?.["connection_specification"]
  return given !== undefined && given !== null && isPlainDict(given) ? given : {}
}

/** Hides the secrets of a config in a text. */
export const scrubber = (manifest: Manifest, config: PlainDict) => {
  const secrets = secretPaths(connectionSpecification(manifest))
    .flatMap((path) => textAt(config, path) ?? [])
    .filter((secret) => secret.length > 0)
    .toSorted((a, b) => b.length - a.length)
  return (text: string): string => secrets.reduce((shown, secret) => shown.replaceAll(secret, "****"), text)
}
