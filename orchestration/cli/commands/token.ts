import { Command } from "commander";
import { documentOf, type TokenDocument } from "../../api/handlers/tokens.ts";
import { askLocalCentre } from "../../api/local.ts";
import { ROLES, type Role } from "../../api/roles.ts";
import { createToken, listTokens, revokeToken } from "../../api/tokens.ts";
import { SuiteError } from "../../base/errors.ts";
import { openStore } from "../../store/index.ts";
import type { Database } from "../../store/schema.ts";
import { print, printJson } from "../output.ts";

const DAY_MS = 24 * 60 * 60_000;
const UNITS: Readonly<Record<string, number>> = { h: DAY_MS / 24, d: DAY_MS, w: 7 * DAY_MS, y: 365 * DAY_MS };

const create = new Command("create")
  .description("make a token; it is printed once and kept nowhere")
  .requiredOption("--role <role>", `what it may do: ${ROLES.join(", ")}; each may do what the ones before it may`)
  .requiredOption("--name <name>", "whose it is")
  .option("--expires <time>", "when it ends to hold, e.g. 12h, 90d, 1y; default: never")
  .option("--json", "one JSON document")
  .action(async (options: { role: string; name: string; expires?: string; json?: boolean }) => {
    const role = ROLES.find((each) => each === options.role);
    if (role === undefined) throw new SuiteError("USAGE", `--role "${options.role}" is none of ${ROLES.join(", ")}`);
    const name = options.name.trim();
    if (name === "" || name.length > 100) throw new SuiteError("USAGE", "--name has 1 to 100 characters");
    const made = await createAnywhere({ name, role, expiresAt: options.expires === undefined ? null : new Date(Date.now() + duration(options.expires)) });
    if (options.json === true) return printJson({ schema: "buslab.token/1", ...made });
    process.stderr.write(`buslab: token ${made.id} "${made.name}" of role ${made.role}, ${until(made.expiresAt)}; it is not shown again\n`);
    print(made.token);
  });

const list = new Command("list")
  .description("tokens, without their text")
  .option("--json", "one JSON document")
  .action(async (options: { json?: boolean }) => {
    const answer = await askLocalCentre<{ tokens: TokenDocument[] }>("GET", "/tokens");
    const tokens = answer?.tokens ?? (await withDatabase(async (db) => (await listTokens(db)).map(documentOf)));
    if (options.json === true) return printJson({ schema: "buslab.tokens/1", tokens });
    if (tokens.length === 0) print("no tokens; ./buslab token create makes one");
    for (const token of tokens) {
      const state = token.revokedAt !== null ? "revoked" : token.expiresAt !== null && Date.parse(token.expiresAt) <= Date.now() ? "expired" : "valid";
      print(`${token.id}  ${token.role.padEnd(6)}  ${state.padEnd(7)}  ${until(token.expiresAt)}, ${token.lastUsedAt === null ? "never used" : `used ${token.lastUsedAt}`}  ${token.name}`);
    }
  });

const revoke = new Command("revoke")
  .description("end a token's validity, and the sessions begun with it")
  .argument("<token>", "its id or name")
  .option("--json", "one JSON document")
  .action(async (which: string, options: { json?: boolean }) => {
    const gone = (await askLocalCentre<TokenDocument>("DELETE", `/tokens/${encodeURIComponent(which)}`)) ?? (await withDatabase(async (db) => documentOf(await revokeToken(db, which))));
    if (options.json === true) printJson({ schema: "buslab.token/1", ...gone });
    else print(`token ${gone.id} "${gone.name}" is revoked`);
  });

/** Who may speak to the results centre. While it runs it holds the database, so it is asked by its socket. */
export const token = new Command("token").description("tokens of the results centre").addCommand(create).addCommand(list).addCommand(revoke);

async function createAnywhere(wanted: { name: string; role: Role; expiresAt: Date | null }): Promise<TokenDocument & { token: string }> {
  const answer = await askLocalCentre<TokenDocument & { token: string }>("POST", "/tokens", { ...wanted, expiresAt: wanted.expiresAt?.toISOString() ?? null });
  return answer ?? (await withDatabase(async (db) => {
    const { token: text, row } = await createToken(db, wanted);
    return { ...documentOf(row), token: text };
  }));
}

async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
  await using store = await openStore();
  return await work(store.db);
}

function duration(text: string): number {
  const match = /^(\d{1,4})([hdwy])$/.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  if (match === null || unit === undefined || Number(match[1]) === 0) throw new SuiteError("USAGE", `--expires "${text}" is no duration; it looks like 12h, 90d, 4w or 1y`);
  return Number(match[1]) * unit;
}

function until(expiresAt: string | null): string {
  return expiresAt === null ? "valid until revoked" : `valid until ${expiresAt}`;
}
