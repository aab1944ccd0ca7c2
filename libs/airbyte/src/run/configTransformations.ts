import type { Component } from "../component/Component.ts"
import { copyOfDict } from "../component/copyOf.ts"
import * as Dpath from "../component/Dpath.ts"
import { called, hookContext, hookOf, replaced } from "../component/Hooks.ts"
import { Expressions, toData } from "../component/Expressions.ts"
import { validTypesOf } from "../component/Transformations.ts"
import type { Environment } from "../expression/CompiledTemplate.ts"
import { parseJson } from "../component/jsonText.ts"
import { failure, toRunError } from "../component/RunError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { schemaProblems } from "./ConfigSchema.ts"

const change = (component: Component, config: PlainDict, environment: Environment): void => {
  const expressions = new Expressions(config, environment)
  const condition = component.optionalText("condition") ?? ""
  switch (component.type) {
    case "ConfigAddFields":
      for (const field of component.children("fields")) {
        const value = toData(
          expressions.value(field.get("value") ?? "", field.parameters, undefined, validTypesOf(field))
        )
        if (condition === "" || expressions.condition(condition, component.parameters, { value })) {
          Dpath.create(config, field.texts("path"), value)
        }
      }
      return
    case "ConfigRemoveFields": {
      if (condition !== "" && !expressions.condition(condition, component.parameters)) return
      const pointers = component.get("field_pointers")
      for (const pointer of Array.isArray(pointers) ? pointers : []) {
        Dpath.remove(config, Array.isArray(pointer) ? pointer : [pointer])
      }
      return
    }
    case "ConfigRemapField": {
      const path = component.texts("field_path").map((part) => expressions.value(part, component.parameters))
      const given = component.get("map")
      const found = Dpath.get(config, path)
      if (given === undefined || !isPlainDict(given) || found === undefined) return
      const next = Object.hasOwn(given, String(found)) ? given[String(found)] : undefined
      if (next !== undefined) Dpath.set(config, path, next)
      return
    }
    case "CustomConfigTransformation": {
      const hook = hookOf(component, expressions, "configTransformations")
      const made = called(component, () => hook(config, hookContext(component, expressions)))
      return replaced(config, made)
    }
    default:
      component.fail("type", `${component.type} is not there yet.`, "unsupported")
  }
}

/** The config as the manifest's streams want it: its migrations and transformations applied to a copy. */
export const normalizedConfig = (
  spec: Component | undefined,
  config: PlainDict,
  environment: Environment
): PlainDict => {
  const rules = spec?.child("config_normalization_rules")
  if (rules === undefined) return config
  const copy = copyOfDict(config)
  for (const migration of rules.children("config_migrations")) {
    for (const transformation of migration.children("transformations")) change(transformation, copy, environment)
  }
  for (const transformation of rules.children("transformations")) change(transformation, copy, environment)
  return copy
}

/** A validation's value in JSON text is judged by what the text holds. */
const judged = (value: Value, component: Component): Value => {
  if (typeof value !== "string") return value
  try {
    return parseJson(value)
  } catch {
    throw failure(`${component.path}: a text of the config is no JSON, which it has to be here.`, "config_error")
  }
}

const problemsWith = (strategy: Component, schema: PlainDict, value: Value, place: string): ReadonlyArray<string> => {
  try {
    return schemaProblems(schema, value, place)
  } catch (cause) {
    return strategy.fail("base_schema", toRunError(cause).message)
  }
}

const validate = (component: Component, value: Value, place: string): void => {
  const strategy = component.needed("validation_strategy")
  if (strategy.type !== "ValidateAdheresToSchema") {
    strategy.fail("type", `${strategy.type} is not there yet.`, "unsupported")
  }
  const schema = strategy.get("base_schema")
  if (schema === undefined || !isPlainDict(schema)) return strategy.fail("base_schema", "it is not a JSON schema.")
  const problems = problemsWith(strategy, schema, judged(value, component), place)
  if (problems.length > 0) throw failure(problems.join(" "), "config_error")
}

/** Throws a `RunError` where the config does not keep to the manifest's `validations`; a path that it lacks is passed over. */
export const validateConfig = (spec: Component | undefined, config: PlainDict, environment: Environment): void => {
  const expressions = new Expressions({}, environment)
  for (const component of spec?.child("config_normalization_rules")?.children("validations") ?? []) {
    if (component.type === "PredicateValidator") {
      validate(component, component.get("value") ?? null, component.path)
      continue
    }
    if (component.type !== "DpathValidator")
      component.fail("type", `${component.type} is not there yet.`, "unsupported")
    const path = component.texts("field_path").map((part) => expressions.value(part, {}))
    if (path.length === 0) component.fail("field_path", "it is empty.")
    const found = path.includes("*") ? Dpath.values(config, path) : [Dpath.get(config, path)]
    for (const value of found) if (value !== undefined) validate(component, value, `config.${path.join(".")}`)
  }
}
