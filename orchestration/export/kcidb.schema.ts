const id = { type: "string", pattern: "^[a-z0-9_]+:[^\\u0000]*$" };
const origin = { type: "string", pattern: "^[a-z0-9_]+$" };
const text = { type: "string", pattern: "^[^\\u0000]*$" };
const time = { type: "string", format: "date-time" };
const file = { type: "object", properties: { name: { type: "string", pattern: "^[^/\\u0000]+$" }, url: { type: "string", pattern: "^https://" } }, required: ["name", "url"], additionalProperties: false };
const files = { type: "array", items: file };
const status = { enum: ["FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP"] };
const common = { id, origin, misc: { type: "object" } };

function list(required: readonly string[], properties: object): object {
  return { type: "array", items: { type: "object", required: ["id", "origin", ...required], properties: { ...common, ...properties }, additionalProperties: false } };
}

/** KCIDB 5.3, as far as we write it; written from the facts that are published of the format, because its schema is no package. For tests. */
export const KCIDB_SCHEMA = {
  type: "object",
  required: ["version"],
  additionalProperties: false,
  properties: {
    version: { type: "object", required: ["major"], properties: { major: { const: 5 }, minor: { type: "integer", minimum: 0, maximum: 3 } }, additionalProperties: false },
    checkouts: list([], { tree_name: text, git_repository_url: { type: "string", pattern: "^https://" }, git_commit_hash: { type: "string", pattern: "^[0-9a-f]{40}$" }, git_commit_name: text, start_time: time, valid: { type: "boolean" }, origin_builds_finish_time: time, origin_tests_finish_time: time }),
    builds: list(["checkout_id"], { checkout_id: id, architecture: { type: "string", pattern: "^[a-z0-9_]*$" }, compiler: text, command: text, config_name: text, config_url: text, input_files: files, output_files: files, status, start_time: time, duration: { type: "number" }, log_url: text, log_excerpt: { ...text, maxLength: 16_384 } }),
    tests: list(["build_id"], {
      build_id: id, path: { type: "string", pattern: "^([a-zA-Z0-9_-]+(\\.[a-zA-Z0-9_-]+)*)?$" }, status, start_time: time, duration: { type: "number" }, log_url: text,
      log_excerpt: { ...text, maxLength: 16_384 }, input_files: files, output_files: files,
      environment: { type: "object", properties: { compatible: { type: "array", items: text }, comment: text, misc: { type: "object" } }, additionalProperties: false },
      number: { type: "object", required: ["value"], properties: { value: { type: "number" }, unit: text, prefix: { enum: ["metric", "binary"] } }, additionalProperties: false },
    }),
    issues: list(["version"], { version: { type: "integer", minimum: 0 }, categories: { type: "array", items: text }, culprit: { type: "object", properties: { code: { type: "boolean" }, tool: { type: "boolean" }, harness: { type: "boolean" } }, additionalProperties: false }, report_url: text, report_subject: text, comment: text }),
    incidents: list(["issue_id", "issue_version"], { issue_id: id, issue_version: { type: "integer", minimum: 0 }, build_id: id, test_id: id, present: { type: "boolean" }, comment: text }),
  },
};
