import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> }>> }>>>>;
}

/** Holds answers against the OpenAPI document that is served, by a validator that knows nothing of the schemas' source. */
export class ResponseCheck {
  private readonly document: Document;
  private readonly ajv = new Ajv2020({ strict: false, allErrors: false });
  private readonly compiled = new Map<string, ValidateFunction>();

  constructor(document: unknown) {
    this.document = document as Document;
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.ajv);
    this.ajv.addSchema(document as object, "openapi");
  }

  /** @returns what is wrong, null when the answer is as the document says */
  problemOf(method: string, path: string, status: number, type: string, text: string): string | null {
    const plain = path.split("?")[0] ?? path;
    if (plain === "/openapi.json") return null;
    const template = Object.keys(this.document.paths).find((each) => matches(each, plain)) ?? null;
    const operation = template === null ? undefined : this.document.paths[template]?.[method.toLowerCase()];
    if (template === null || operation === undefined) return status === 404 ? null : `the document has no ${method} ${plain}`;
    const answer = operation.responses[String(status)];
    if (answer === undefined) return `the document has no answer ${status}`;
    const media = type.split(";")[0] ?? "";
    if (answer.content === undefined) return text === "" ? null : "the document gives this answer no body";
    if (!(media in answer.content)) return `the document has no ${media} here`;
    if (media !== "application/json") return null;
    const pointer = ["paths", template, method.toLowerCase(), "responses", String(status), "content", "application/json", "schema"].map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1")).map(encodeURIComponent).join("/");
    const validate = this.compile(pointer);
    return validate(JSON.parse(text)) ? null : this.ajv.errorsText(validate.errors);
  }

  private compile(pointer: string): ValidateFunction {
    const known = this.compiled.get(pointer) ?? this.ajv.compile({ $ref: `openapi#/${pointer}` });
    this.compiled.set(pointer, known);
    return known;
  }
}

/** A path without parameters is meant before one with. */
function matches(template: string, path: string): boolean {
  const [wanted, given] = [template.split("/"), path.split("/")];
  return wanted.length === given.length && wanted.every((part, index) => part === given[index] || (part.startsWith("{") && given[index] !== ""));
}
