import { hidden, quoted } from "./NodeText.ts"
import { isReferenceLike, referenceForms, referenceProblem, referencesIn } from "./Reference.ts"
import { hasCredentials, type Range } from "./SecretText.ts"
import { expectedOf } from "./Setting.ts"
import { type SettingFindings, fits, type Task, unusable } from "./SettingFindings.ts"
import { isSecret, takesReferences } from "./SettingType.ts"
import { isScalar, type YamlSource } from "./YamlSource.ts"

/** Reads a single value; one that is not usable becomes a finding. */
export const readLeaf = (task: Task, source: YamlSource, findings: SettingFindings): unknown => {
  const { ast, node, path } = task
  if (!isScalar(node)) return findings.wrong(task)
  const { value } = node
  const range = task.at
  if (isSecret(ast)) return readSecret(task, value, source, findings)
  if (typeof value === "string") {
    const references = referencesIn(value)
    if (references.length > 0 && !takesReferences(ast)) {
      return findings.report(
        range,
        path,
        findings.shown(node),
        expectedOf(ast),
        "References are not replaced in this setting; write the value itself."
      )
    }
    const broken = references.flatMap((reference) => {
      const advice = referenceProblem(reference)
      return advice === undefined ? [] : [{ reference, advice }]
    })
    for (const { advice, reference } of broken) {
      const offset = node.source === value && node.type === "PLAIN" ? reference.at : 0
      const at: Range = [range[0] + offset, offset === 0 ? range[1] : range[0] + offset + reference.text.length]
      findings.report(
        at,
        path,
        isReferenceLike(reference.text) ? quoted(reference.text) : findings.shown(node),
        referenceForms,
        advice
      )
    }
    if (broken.length > 0) return unusable
    if (hasCredentials(value)) {
      source.secrets.push(range)
      return findings.report(
        range,
        path,
        "an address with a user and a password (not shown)",
        "an address without them",
        "Take them out of the address; send them with `auth`, or with a header that refers to ${env:NAME}."
      )
    }
  }
  return fits(ast, value) ? value : findings.wrong(task)
}

const readSecret = (task: Task, value: unknown, source: YamlSource, findings: SettingFindings): unknown => {
  const range = task.at
  if (fits(task.ast, value)) return value
  if (typeof value === "string" && isReferenceLike(value)) {
    const [reference] = referencesIn(value)
    const advice = reference === undefined ? undefined : referenceProblem(reference)
    return findings.report(
      range,
      task.path,
      quoted(value),
      expectedOf(task.ast),
      advice ?? "Write ${env:NAME} or ${file:path}."
    )
  }
  if (value === null) return findings.wrong(task, "Write ${env:NAME} or ${file:path}.")
  source.secrets.push(range)
  return findings.report(
    range,
    task.path,
    hidden,
    expectedOf(task.ast),
    "Take the secret out of the file; write ${env:NAME} or ${file:path} in its place."
  )
}
