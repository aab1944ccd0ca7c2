import { type Schema, SchemaAST } from "effect"
import { readLeaf } from "./LeafReader.ts"
import { adviceFor, formText, hidden, inFlow, quoted } from "./NodeText.ts"
import { nearest } from "./Nearest.ts"
import { referenceForms, referenceProblem, referencesIn } from "./Reference.ts"
import { isReferenced, isSecretName, type Range } from "./SecretText.ts"
import { expectedOf, formOf, type Setting, type Shape, shapeOf, takesNames } from "./Setting.ts"
import { fits, SettingFindings, type Task, unusable } from "./SettingFindings.ts"
import { isSecret, takesReferences } from "./SettingType.ts"
import {
  type Finding,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  rangeOf,
  type SettingPath,
  type YamlSource
} from "./YamlSource.ts"

/** Where a setting stands in the file. */
export interface Place {
  readonly key: Range
  readonly value: Range
}

/** A file read against a schema. */
export interface Reading {
  /** As the user wrote it; what was wrong is left out. */
  readonly value: unknown
  readonly findings: ReadonlyArray<Finding>
  /** The place of a setting, or of the nearest setting around it. */
  readonly placeOf: (path: SettingPath) => Place
}

/** More values than any connector has: what is above comes from aliases of aliases. */
const mostValues = 20_000

const holdsSecrets = (shape: Shape): boolean =>
  shape._tag === "Struct" && shape.settings.some((setting) => isSecret(setting.ast))

/** Reads the settings of a file; every problem becomes a finding. `homes` names, per setting, where else it can stand. */
export const readSettings = (source: YamlSource, schema: Schema.Top, homes: ReadonlyMap<string, string>): Reading => {
  const findings = new SettingFindings(source)
  const places = new Map<string, Place>()
  const start: Range = [0, 1]
  let values = 0

  const read = (given: Omit<Task, "at">): unknown => {
    values += 1
    if (values > mostValues) {
      if (values === mostValues + 1) {
        findings.report(
          given.key,
          given.path,
          `more than ${mostValues} values`,
          "fewer values",
          "Remove aliases (*name) that repeat other aliases."
        )
      }
      return unusable
    }
    const node = isAlias(given.node) ? source.target(given.node) : given.node
    if (node === undefined) {
      return findings.report(
        rangeOf(given.node) ?? given.key,
        given.path,
        "an alias of nothing",
        expectedOf(given.ast),
        "Put the anchor (&name) before the alias (*name), or the text in quotes."
      )
    }
    // Aliases are reported where they stand, not where their anchor is.
    const at = rangeOf(given.node) ?? given.key
    places.set(JSON.stringify(given.path), { key: given.key, value: at })
    const task = { ...given, at, node }
    const shape = shapeOf(task.ast)
    switch (shape._tag) {
      case "Struct":
        return isMap(node)
          ? readStruct(task, shape.settings)
          : findings.wrong(
              task,
              undefined,
              holdsSecrets(shape) && isScalar(node) && node.value !== null ? hidden : undefined
            )
      case "Map":
        return isMap(node)
          ? readMap(task, shape)
          : isSeq(node) && takesNames(task.ast)
            ? readNames(task, shape)
            : findings.wrong(task)
      case "List":
        return isSeq(node)
          ? readList(task, shape)
          : findings.wrong(
              task,
              isScalar(node) && node.value !== null ? "Put the value in brackets: [ ... ]." : undefined
            )
      case "Choice": {
        if (isScalar(node) && typeof node.value === "string" && shape.values.includes(node.value)) return node.value
        const meant = isScalar(node) ? nearest(String(node.value), shape.values) : undefined
        return findings.wrong(
          task,
          meant === undefined ? `Write ${shape.values.join(" or ")}.` : `Did you mean ${meant}?`
        )
      }
      case "OneOf":
        return readOneOf(task, shape.members)
      case "Leaf":
        return readLeaf(task, source, findings)
      case "Anything":
        return isMap(node) ? readAnything(task) : findings.wrong(task)
    }
  }

  /** Members of any kind as they are; only references and what sounds like a secret are looked at. */
  const readAnything = (task: Task): unknown => {
    const { node, path } = task
    values += 1
    if (values > mostValues) return unusable
    if (isAlias(node)) {
      const target = source.target(node)
      return target === undefined
        ? findings.wrong(task, "Put the anchor (&name) before the alias (*name).")
        : readAnything({ ...task, node: target })
    }
    if (isMap(node)) {
      const entries: Array<readonly [string, unknown]> = []
      for (const { key, name, value } of entriesOf(node)) {
        const text = isScalar(value) && typeof value.value === "string" ? value.value : undefined
        if (text !== undefined && text !== "" && isSecretName(name) && !isReferenced(text)) {
          const at = rangeOf(value) ?? key
          source.secrets.push(at)
          findings.report(
            at,
            [...path, name],
            hidden,
            `a reference to the secret: ${referenceForms}`,
            "Take the secret out of the file; write ${env:NAME} or ${file:path} in its place."
          )
          continue
        }
        entries.push([name, readAnything({ ...task, node: value, path: [...path, name], at: rangeOf(value) ?? key })])
      }
      return Object.fromEntries(entries)
    }
    if (isSeq(node)) {
      return node.items.map((item, index) =>
        readAnything({
          ...task,
          node: isScalar(item) || isMap(item) || isSeq(item) || isAlias(item) ? item : null,
          path: [...path, index]
        })
      )
    }
    if (!isScalar(node)) return null
    const { value } = node
    if (typeof value === "number" && node.source !== undefined && String(value) !== node.source) {
      return findings.wrong(task, `Put it in quotes to send it as it is written: "${node.source}".`)
    }
    if (typeof value === "string") {
      const broken = referencesIn(value).find((reference) => referenceProblem(reference) !== undefined)
      if (broken !== undefined) {
        return findings.report(task.at, path, quoted(broken.text), referenceForms, referenceProblem(broken) ?? "")
      }
    }
    return value
  }

  const entriesOf = (node: Node | null) =>
    isMap(node)
      ? node.items.map(({ key, value }) => ({
          name: isScalar(key) ? String(key.value) : "",
          key: rangeOf(key) ?? start,
          value: isScalar(value) || isMap(value) || isSeq(value) || isAlias(value) ? value : null
        }))
      : []

  const readStruct = (task: Task, settings: ReadonlyArray<Setting>): unknown => {
    const names = settings.map(({ name }) => name)
    const entries: Array<readonly [string, unknown]> = []
    const met = new Set<string>()
    for (const { key, name, value } of entriesOf(task.node)) {
      const setting = settings.find((setting) => setting.name === name)
      const path = [...task.path, name]
      if (setting !== undefined) {
        met.add(name)
        const result = read({ ast: setting.ast, node: value, path, key, example: setting.example ?? setting.fallback })
        if (result !== unusable) entries.push([name, result])
        continue
      }
      const home = homes.get(name)
      const meant = nearest(name, names)
      if (meant !== undefined && home === undefined) met.add(meant)
      // It may be a secret whose name is misspelt.
      const open = rangeOf(value)
      if (open !== undefined && settings.some((setting) => isSecret(setting.ast))) source.secrets.push(open)
      const advice =
        name === "<<"
          ? "Merging is not possible; use an alias (*name) for a whole value."
          : home !== undefined
            ? home.split(".").at(-1) === task.path.at(-1)
              ? `\`${name}\` belongs to another form of ${task.path.at(-1)}.`
              : `\`${name}\` belongs under ${home}.`
            : meant !== undefined
              ? `Did you mean ${meant}?`
              : "Remove it."
      findings.report(key, path, `the unknown setting ${quoted(name)}`, `one of ${names.join(", ")}`, advice)
    }
    for (const { ast, example, isRequired, name } of settings) {
      if (!isRequired || met.has(name)) continue
      findings.report(
        task.key,
        [...task.path, name],
        `no \`${name}\``,
        `\`${name}\`: ${expectedOf(ast)}`,
        example === undefined ? `Add \`${name}\`.` : `Add it, for example ${name}: ${inFlow(example)}.`
      )
    }
    return Object.fromEntries(entries)
  }

  const readMap = (task: Task, shape: Extract<Shape, { _tag: "Map" }>): unknown => {
    const entries: Array<readonly [string, unknown]> = []
    for (const { key, name, value } of entriesOf(task.node)) {
      if (
        takesReferences(shape.value) &&
        (value === null || (isScalar(value) && value.value === null)) &&
        /[\s\p{C}]/u.test(name)
      ) {
        // No parameter is called so: a value has lost its name, and it may be a secret.
        source.secrets.push(key)
        findings.report(
          key,
          task.path,
          "a value without a name (not shown, it may be a secret)",
          expectedOf(task.ast),
          "Write name: value."
        )
        continue
      }
      const path = [...task.path, name]
      if (name === "__proto__" || !fits(shape.key, name)) {
        findings.wrong(
          { ast: shape.key, node: null, path, key, at: key, example: undefined },
          adviceFor(shape.key, name) ?? "Choose another name.",
          `the name ${quoted(name)}`
        )
        continue
      }
      const text = isScalar(value) ? String(value.value ?? "") : ""
      if (takesReferences(shape.value) && isSecretName(name) && !isReferenced(text)) {
        findings.report(
          rangeOf(value) ?? key,
          path,
          hidden,
          `a reference to the secret: ${referenceForms}`,
          "Take the secret out of the file; write ${env:NAME} or ${file:path} in its place."
        )
        continue
      }
      const result = read({ ast: shape.value, node: value, path, key, example: undefined })
      if (result !== unusable) entries.push([name, result])
    }
    return Object.fromEntries(entries)
  }

  /** A list of names: each stands for a member without settings. */
  const readNames = (task: Task, shape: Extract<Shape, { _tag: "Map" }>): unknown => {
    const names = new Map<string, unknown>()
    for (const item of isSeq(task.node) ? task.node.items : []) {
      const at = rangeOf(item) ?? task.key
      const name = isScalar(item) && typeof item.value === "string" ? item.value : undefined
      const path = [...task.path, name ?? names.size]
      const place = { ast: shape.key, path, key: at, at, example: undefined }
      if (isMap(item)) {
        const advice = "Take away the dash: streams with settings are given by name, not as a list."
        findings.wrong({ ...place, node: null }, advice, "a list entry with settings")
      } else if (name === undefined)
        findings.wrong({ ...place, node: isScalar(item) ? item : null }, "Write the name of a stream.")
      else if (name === "__proto__" || !fits(shape.key, name)) {
        const advice = adviceFor(shape.key, name) ?? "Choose another name."
        findings.wrong({ ...place, node: null }, advice, `the name ${quoted(name)}`)
      } else if (names.has(name)) {
        findings.wrong({ ...place, node: null }, "Remove the entry that is there twice.", `the name ${name} once more`)
      } else {
        places.set(JSON.stringify(path), { key: at, value: at })
        names.set(name, {})
      }
    }
    return Object.fromEntries(names)
  }

  const readList = (task: Task, shape: Extract<Shape, { _tag: "List" }>): unknown => {
    const items = isSeq(task.node) ? task.node.items : []
    const before = findings.all.length
    const list = items.map((item, index) => {
      const node = isScalar(item) || isMap(item) || isSeq(item) || isAlias(item) ? item : null
      return read({
        ast: shape.item,
        node,
        path: [...task.path, index],
        key: rangeOf(item) ?? task.key,
        example: undefined
      })
    })
    if (findings.all.length > before) return unusable
    if (shape.ast.checks === undefined || fits(shape.ast, list)) return list
    return findings.wrong(
      task,
      list.length === 0 ? "Add an entry, or remove the setting." : "Remove the entry that is there twice."
    )
  }

  const readOneOf = (task: Task, members: ReadonlyArray<SchemaAST.AST>): unknown => {
    const { node } = task
    if (isMap(node)) {
      const names = entriesOf(node).map(({ name }) => name)
      const forms = members.flatMap((ast) => {
        const name = formOf(ast)?.name
        return name === undefined ? [] : [{ ast, name }]
      })
      const chosen = forms.filter(({ name }) => names.includes(name))
      const [only] = chosen
      if (only !== undefined && chosen.length === 1) return read({ ...task, ast: only.ast })
      const expected = `one of the forms ${forms.map(({ ast, name }) => formText(ast, name)).join(", ")}`
      if (chosen.length > 1) {
        const both = chosen.map(({ name }) => name).join(" and ")
        const inList = typeof task.path.at(-1) === "number"
        return findings.report(
          task.at,
          task.path,
          `${both} together`,
          expected,
          inList ? "Write each as a list entry of its own." : "Keep one of them."
        )
      }
      const meant = names
        .map((name) =>
          nearest(
            name,
            forms.map((form) => form.name)
          )
        )
        .find((name) => name !== undefined)
      return forms.length === 0
        ? findings.wrong(task)
        : findings.report(
            task.at,
            task.path,
            findings.shown(node),
            expected,
            meant === undefined ? "Choose a form by its first setting." : `Did you mean ${meant}?`
          )
    }
    const fitting = members.filter((ast) => shapeOf(ast)._tag === (isSeq(node) ? "List" : "Leaf"))
    const [only] = fitting
    if (only !== undefined && fitting.length === 1 && !(isScalar(node) && node.value === null))
      return read({ ...task, ast: only })
    const text = fitting.find((ast) => SchemaAST.isString(ast))
    if (text !== undefined && isScalar(node) && typeof node.value === "string")
      return readLeaf({ ...task, ast: text }, source, findings)
    if (!isScalar(node) || !fits(task.ast, node.value)) {
      const forms = members.flatMap((ast) => formOf(ast)?.name ?? [])
      return forms.length === 0
        ? findings.wrong(task)
        : findings.report(
            task.at,
            task.path,
            findings.shown(node),
            `one of the forms ${members.map((ast) => formText(ast, formOf(ast)?.name ?? "")).join(", ")}`,
            "Choose a form by its first setting."
          )
    }
    // 1.10 is the number 1.1, and a long id loses its last digits: what is sent must be what was written.
    return typeof node.value === "number" && node.source !== undefined && String(node.value) !== node.source
      ? findings.wrong(task, `Put it in quotes to send it as it is written: "${node.source}".`)
      : node.value
  }

  const begin = "Begin with `connector: <name>`."
  const { root } = source
  const value =
    root === undefined
      ? findings.report(start, [], "an empty file", expectedOf(schema.ast), begin)
      : isScalar(root)
        ? findings.report(rangeOf(root) ?? start, [], findings.shown(root), expectedOf(schema.ast), begin)
        : read({ ast: schema.ast, node: root, path: [], key: start, example: undefined })

  const placeOf = (path: SettingPath): Place => {
    for (let length = path.length; length >= 0; length--) {
      const place = places.get(JSON.stringify(path.slice(0, length)))
      if (place !== undefined) return place
    }
    return { key: start, value: start }
  }
  return { value: value === unusable ? undefined : value, findings: findings.all, placeOf }
}
