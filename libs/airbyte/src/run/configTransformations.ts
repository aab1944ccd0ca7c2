import type { Component } from "../component/Component.ts"
import { copyOfDict } from "../component/copyOf.ts"
import * as Dpath from "../component/Dpath.ts"
import { Expressions, toData } from "../component/Expressions.ts"
import { validTypesOf } from "../component/Transformations.ts"
import type { Environment } from "../expression/CompiledTemplate.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"

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
  const [validation] = rules.children("validations")
  validation?.fail(
    "",
    "validations of the config are not there yet; the connection_specification is checked.",
    "unsupported"
  )
  return copy
}
