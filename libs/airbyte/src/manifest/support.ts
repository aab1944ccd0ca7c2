import { hookAdvice, hookSlots } from "../component/Hooks.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { hasEquivalent } from "../component/authenticatorVariants.ts"
import { type ComponentSchema, componentSchema, dereference } from "./componentSchema.ts"
import type { ManifestProblem } from "./ManifestError.ts"

/** Component types that are there, in the sets of docs/guides/airbyte.md. */
const supported = new Set(
  `DeclarativeSource DeclarativeStream SimpleRetriever HttpRequester RecordSelector DpathExtractor InlineSchemaLoader
   CheckStream RequestOption RequestPath DefaultPaginator NoPagination CursorPagination PageIncrement OffsetIncrement
   ApiKeyAuthenticator BearerAuthenticator BasicHttpAuthenticator OAuthAuthenticator NoAuth JsonDecoder Spec
   DatetimeBasedCursor MinMaxDatetime SubstreamPartitionRouter ParentStreamConfig ListPartitionRouter AddFields
   AddedFieldDefinition RemoveFields RecordFilter DefaultErrorHandler CompositeErrorHandler HttpResponseFilter
   ExponentialBackoffStrategy ConstantBackoffStrategy WaitTimeFromHeader WaitUntilTimeFromHeader WaitTimeFromResponse
   SelectiveAuthenticator ConcurrencyLevel HTTPAPIBudget MovingWindowCallRatePolicy FixedWindowCallRatePolicy
   UnlimitedCallRatePolicy Rate HttpRequestRegexMatcher SessionTokenAuthenticator
   SessionTokenRequestApiKeyAuthenticator SessionTokenRequestBearerAuthenticator ApiKey Bearer LegacySessionTokenAuthenticator
   JwtAuthenticator StateDelegatingStream CsvDecoder JsonlDecoder GzipDecoder ZipfileDecoder XmlDecoder IterableDecoder
   JsonItemsDecoder KeysToLower KeysReplace KeysToSnakeCase FlattenFields DpathFlattenFields KeyTransformation
   JsonFileSchemaLoader LegacyToPerPartitionStateMigration CustomStateMigration AsyncRetriever AsyncJobStatusMap
   ResponseToFileExtractor DynamicDeclarativeStream ConfigComponentsResolver HttpComponentsResolver
   ParametrizedComponentsResolver StreamParametersDefinition StreamConfig ComponentMappingDefinition DynamicSchemaLoader
   SchemaTypeIdentifier TypesMap ComplexFieldType CheckDynamicStream DynamicStreamCheckConfig ConditionalStreams
   IncrementingCountCursor PaginationReset PaginationResetLimits QueryProperties PropertiesFromEndpoint PropertyChunking
   GroupByKeyMergeStrategy JsonSchemaPropertySelector GroupingPartitionRouter UnionPartitionRouter
   RequestBodyUrlEncodedForm RequestBodyJsonObject RequestBodyPlainText RequestBodyGraphQL RequestBodyGraphQlQuery
   AuthFlow OAuthConfigSpecification StreamGroup BlockSimultaneousSyncsAction ConfigMigration ConfigAddFields
   ConfigRemoveFields ConfigRemapField ConfigNormalizationRules DpathValidator PredicateValidator ValidateAdheresToSchema
   CombinedExtractor RecordExpander ParentFieldPath PageSizeReduction RequestWindowSplitting
   RateLimitedMultipleTokenAuthenticator QuotaStatusSource TokenQuota FileUploader`.split(/\s+/)
)

/** A component that a manifest uses. */
export interface UsedComponent {
  readonly type: string
  readonly path: string
  readonly data: PlainDict
}

const choicesOf = (schema: ComponentSchema): ReadonlyArray<ComponentSchema> => {
  const real = dereference(schema)
  return [real, ...(real.anyOf ?? real.oneOf ?? []).flatMap(choicesOf)]
}

/** Whether a setting holds a component, or a list or mapping of them, rather than data of the user's. */
const holdsComponents = (schema: ComponentSchema): boolean =>
  choicesOf(schema).some(
    (choice) =>
      choice.properties?.["type"]?.enum !== undefined ||
      (choice.items !== undefined && holdsComponents(choice.items)) ||
      (typeof choice.additionalProperties === "object" && holdsComponents(choice.additionalProperties))
  )

/** Every component that the manifest, or one in it at `path`, reaches from its top: definitions that nothing uses are left out. */
export const usedComponents = (manifest: PlainDict, at = ""): ReadonlyArray<UsedComponent> => {
  const used: Array<UsedComponent> = []
  const visit = (value: Value, path: string): void => {
    if (Array.isArray(value)) return value.forEach((item, index) => visit(item, `${path}[${index}]`))
    if (value === null || !isPlainDict(value)) return
    const type = Object.hasOwn(value, "type") ? value["type"] : undefined
    const schema = typeof type === "string" ? componentSchema(type) : undefined
    if (typeof type === "string" && (schema !== undefined || Object.hasOwn(value, "class_name"))) {
      used.push({ type, path, data: value })
    }
    const properties = schema?.properties
    for (const [name, item] of Object.entries(value)) {
      if (name === "definitions" || name === "$parameters" || name === "metadata") continue
      if (properties === undefined) {
        // A mapping of components by name.
        if (schema === undefined) visit(item, path === "" ? name : `${path}.${name}`)
        continue
      }
      const known = Object.hasOwn(properties, name) ? properties[name] : undefined
      if (known !== undefined && holdsComponents(known)) visit(item, path === "" ? name : `${path}.${name}`)
    }
  }
  visit(manifest, at)
  return used
}

/** What the manifest needs and is not there. */
export const unsupportedIn = (used: ReadonlyArray<UsedComponent>): ReadonlyArray<ManifestProblem> =>
  used.flatMap(({ data, path, type }) => {
    if (Object.hasOwn(data, "class_name") && type.startsWith("Custom") && type !== "CustomStateMigration") {
      if (type === "CustomAuthenticator" && hasEquivalent(data)) return []
      const className = String(data["class_name"])
      const problem = `${className} is a Python class, which does not run here. Write a hook: ${hookAdvice(type, className)}.`
      return [{ path, problem, ...(hookSlots[type] === undefined ? {} : { hook: { type, className } }) }]
    }
    if (!supported.has(type)) return [{ path, problem: `${type} is not there yet.` }]
    return []
  })
