import { Result } from "effect"
import { Connector } from "./ConnectorFile.ts"
import { parseConnector } from "./ConnectorYaml.ts"
import { isReferenceLike, referencesIn } from "./Reference.ts"
import { hideSecrets } from "./SecretText.ts"
import { readSettings } from "./SettingReader.ts"
import { readYaml } from "./YamlSource.ts"

/** Replaces what looks like a secret in a text of any kind, line by line; its length and its references stay. */
export const textWithoutSecrets = (text: string): string => text.split("\n").map(hideSecrets).join("\n")

/** Replaces all of a part but its white space and its references. */
const masked = (part: string): string => {
  let shown = ""
  let at = 0
  const hide = (open: string) => open.replaceAll(/\S/gu, "*")
  for (const reference of referencesIn(part)) {
    shown += `${hide(part.slice(at, reference.at))}${isReferenceLike(reference.text) ? reference.text : hide(reference.text)}`
    at = reference.at + reference.text.length
  }
  return shown + hide(part.slice(at))
}

/**
 * A connector file as it may be shown: literal secrets are replaced by asterisks, references stay. A file that the parser takes
 * has references where secrets belong, so it comes back as it is, but for what looks like a secret wherever it stands (as in a
 * comment); of one that it refuses, everything is hidden that may be a secret.
 */
export const connectorWithoutSecrets = (text: string): string => {
  if (Result.isSuccess(parseConnector(text, ""))) return textWithoutSecrets(text)
  const source = readYaml(text)
  if (source.root === undefined) return masked(text)
  // Finds the settings that have to be references and are not.
  if (!source.isBroken) readSettings(source, Connector, new Map())
  let shown = ""
  let at = 0
  for (const [from, to] of [...source.secrets].toSorted((left, right) => left[0] - right[0])) {
    const start = Math.max(from, at)
    if (to <= start) continue
    shown += text.slice(at, start) + masked(text.slice(start, to))
    at = to
  }
  return textWithoutSecrets(shown + text.slice(at))
}
