import { spawn } from "node:child_process";
import { chmod, chown, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { nowMs } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import { exec } from "../base/exec.ts";
import { temporaryFolderOf } from "./temporary.ts";

export interface LocalPostgres extends AsyncDisposable {
  readonly url: string;
  /** Another empty database of the same server. */
  readonly database: (name: string) => Promise<string>;
}

export interface LocalPostgresOptions {
  /** Off for tests that kill clients only: a server that is not killed needs no disk. Default: on, as a real one. */
  readonly fsync?: boolean;
}

const PROGRAMS = "/usr/lib/postgresql";
const START_MS = 60_000;

/**
 * A PostgreSQL server of Debian's package, with its data in a temporary folder and one free loopback port; never as root. It
 * ends with the process that started it, SIGKILL included, and when disposed its data goes; data of one that could not be disposed goes with a later start.
 * @throws HOST_TOOL_MISSING | COMMAND_FAILED | STORE_FAILED
 */
export async function startLocalPostgres(options: LocalPostgresOptions = {}): Promise<LocalPostgres> {
  const bin = await findPrograms();
  await using scope = new AsyncDisposableStack();
  const dir = await temporaryFolderOf("postgres");
  scope.defer(() => rm(dir, { recursive: true, force: true }));
  const data = join(dir, "data");
  await mkdir(data);
  const as = await unprivileged(dir, data);
  await exec(["setpriv", ...as, "--", join(bin, "initdb"), "-D", data, "-U", "lab", "-A", "trust", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8"]);
  const port = await freePort();
  const settings = ["-c", `fsync=${options.fsync === false ? "off" : "on"}`, "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "listen_addresses=127.0.0.1"];
  let log = "";
  const server = spawn("setpriv", [...as, "--pdeathsig", "KILL", "--", join(bin, "postgres"), "-D", data, "-p", String(port), "-k", data, ...settings], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  scope.defer(async () => {
    server.kill("SIGINT"); // fast shutdown: clients are thrown out, nothing is left behind
    await ended;
  });
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4_000)));
  const url = (name: string): string => `postgres://lab@127.0.0.1:${port}/${name}`;
  await answering(url("postgres"), () => server.exitCode !== null || server.signalCode !== null, () => log);
  const owned = scope.move();
  return {
    url: url("postgres"),
    database: async (name) => {
      await withClient(url("postgres"), (client) => client.query(`create database ${pg.escapeIdentifier(name)}`));
      return url(name);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Whether Debian's package is there. */
export async function hasLocalPostgres(): Promise<boolean> {
  return findPrograms().then(
    () => true,
    () => false,
  );
}

/** The newest version installed. */
async function findPrograms(): Promise<string> {
  const versions = (await readdir(PROGRAMS).catch((): string[] => [])).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a));
  for (const version of versions) {
    const bin = join(PROGRAMS, version, "bin");
    if ((await readdir(bin).catch((): string[] => [])).includes("initdb")) return bin;
  }
  throw new SuiteError("HOST_TOOL_MISSING", `no PostgreSQL server is installed below ${PROGRAMS}; the Debian package is postgresql`);
}

/** Words for setpriv: the server refuses root, so root hands its folders to the user of Debian's package. None for everyone else. */
async function unprivileged(...folders: readonly string[]): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  const entry = /^postgres:[^:]*:(\d+):(\d+):/m.exec(await readFile("/etc/passwd", "utf8"));
  const [uid, gid] = [entry?.[1] ?? "65534", entry?.[2] ?? "65534"];
  for (const folder of folders) {
    await chmod(folder, 0o700);
    await chown(folder, Number(uid), Number(gid));
  }
  return ["--reuid", uid, "--regid", gid, "--clear-groups"];
}

async function answering(url: string, dead: () => boolean, log: () => string): Promise<void> {
  const deadline = nowMs() + START_MS;
  for (;;) {
    const problem = await withClient(url, (client) => client.query("select 1")).then(
      () => null,
      (error: unknown) => error,
    );
    if (problem === null) return;
    if (dead()) throw new SuiteError("STORE_FAILED", "the PostgreSQL server ended while it was starting", { details: log() });
    if (nowMs() > deadline) throw new SuiteError("STORE_FAILED", `the PostgreSQL server does not answer within ${START_MS} ms`, { cause: problem, details: log() });
    await pause(50);
  }
}

async function withClient(url: string, act: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await act(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
