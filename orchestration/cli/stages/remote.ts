import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { buildAgent, buildKernel, buildModule, parseKernelSpec, type AgentArtifact } from "../../../vm-images/index.ts";
import { Limits } from "../../base/deadline.ts";
import { SuiteError } from "../../base/errors.ts";
import { exec } from "../../base/exec.ts";
import { ConsoleCommand } from "../../guest/remote/console.ts";
import { RemoteHost, type RemoteFacts } from "../../guest/remote/host.ts";
import { RemoteMachine } from "../../guest/remote/machine.ts";
import { CONFIG } from "../../guest/remote/steps.ts";
import type { SshAccess } from "../../guest/ssh.ts";
import { detectGeneration } from "../../run/generation.ts";
import type { BringUpContext, Ready } from "../../run/run.ts";
import { ARCHES } from "../../target/arches.ts";
import { LSMS, makeTarget, type Target } from "../../target/target-id.ts";
import type { PooledTemplate } from "../../vm/pool.ts";
import { makeSocketDir } from "../../vm/socket-dir.ts";
import { connectAgent } from "./agent.ts";
import type { Peers } from "./boot.ts";
import type { Subject } from "./whole-run.ts";

export interface RemoteOptions {
  /** A .ko file, or a folder that is built against `kernel`; null: the machine has the bus. */
  readonly module: string | null;
  readonly kernel?: string;
  readonly config?: readonly string[];
  readonly identity?: string;
  readonly hostKey?: string;
  readonly console?: string;
  readonly reboot?: string;
  readonly peers: Peers;
}

/** Names that `uname -m` gives, where they are not ours. */
const UNAME: Readonly<Record<string, keyof typeof ARCHES>> = { x86_64: "x86_64", aarch64: "arm64", armv7l: "arm", armv6l: "arm" };

export function isRemote(pattern: string): boolean {
  return pattern.startsWith("ssh:");
}

/** A machine that is reached by ssh, as a target of its own and as what brings it up. @throws USAGE, CONFIG_INVALID, SSH_FAILED */
export async function remoteSubject(pattern: string, options: RemoteOptions): Promise<{ readonly target: Target; readonly subject: Subject }> {
  checkModule(options);
  const access = await accessOf(pattern, options);
  const facts = await RemoteHost.probe(access);
  const arch = UNAME[facts.machine];
  if (arch === undefined) throw new SuiteError("CONFIG_INVALID", `${pattern} is a ${facts.machine}; there is an agent for ${Object.keys(UNAME).join(", ")}`);
  const lsm = LSMS.find((name) => facts.lsm.split(",").includes(name)) ?? "none";
  const target = makeTarget(arch, `ssh-${access.host.replace(/[^\w.-]/g, "-")}-${access.port}`, lsm, "plain");
  let agent: AgentArtifact | undefined;
  let module: { readonly name: string; readonly file: string } | null = null;
  const undo = new AsyncDisposableStack();
  const subject: Subject = {
    shared: { rebootable: options.reboot !== undefined && options.console !== undefined },
    slots: 1,
    build: async (_id, ctx) => {
      const started = performance.now();
      const logDir = join(ctx.folder.dir, "build");
      await mkdir(logDir, { recursive: true });
      const build = { progress: ctx.progress, logDir, signal: ctx.signal };
      agent = await buildAgent(target.arch, build);
      module = options.module === null ? null : await moduleFor(options.module, target, facts, options, build);
      ctx.spent.build = Math.round(performance.now() - started);
    },
    bringUp: async (_id, ctx) => {
      if (agent === undefined) throw new SuiteError("INTERNAL", `the agent for ${target.id} was not built`);
      return bringUp({ access, facts, target, agent, module, options, undo }, ctx);
    },
    finish: async () => undo.disposeAsync(),
  };
  return { target, subject };
}

interface Parts {
  readonly access: Omit<SshAccess, "deadlineMs">;
  readonly facts: RemoteFacts;
  readonly target: Target;
  readonly agent: AgentArtifact;
  readonly module: { readonly name: string; readonly file: string } | null;
  readonly options: RemoteOptions;
  readonly undo: AsyncDisposableStack;
}

async function bringUp({ access, facts, target, agent, module, options, undo }: Parts, ctx: BringUpContext): Promise<Ready<PooledTemplate>> {
  const started = performance.now();
  const limits = new Limits(facts.slowdown);
  const serial = options.console === undefined ? null : undo.use(new ConsoleCommand(options.console, join(ctx.folder.console, "serial.log")));
  const host = undo.use(new RemoteHost({ access, runId: ctx.folder.run, agent: agent.binary, module, reboot: options.reboot ?? null, console: serial, limits, signal: ctx.signal }));
  const socketDir = await makeSocketDir(ctx.folder.run);
  const template: PooledTemplate = {
    target,
    taint: facts.taint,
    single: true,
    clone: async ({ name, dir }) => {
      const began = performance.now();
      const { machine, taint } = await RemoteMachine.start(host, { name, dir, socketDir });
      try {
        const client = await connectAgent(machine.agentSocket, { timeoutMs: limits.ms(3_000) });
        await client.close();
        return { machine, taint, answerMs: performance.now() - began, readyMs: performance.now() - began };
      } catch (error) {
        await machine.kill();
        throw error;
      }
    },
  };
  const generation = await detectGeneration(template, { runId: ctx.folder.run, dir: ctx.folder.console, slowdown: facts.slowdown });
  const config = await kernelConfig(host, ctx);
  ctx.spent.boot = Math.round(performance.now() - started);
  return {
    template,
    accel: { kind: "none", why: `${access.user}@${access.host}:${access.port} is not ours to boot` },
    artifacts: { agent: { key: agent.key, state: agent.state, because: agent.because } },
    facts: {
      kernelRelease: facts.release,
      ...(config === null ? {} : { kernelConfig: config }),
      ...(module === null ? {} : { moduleKo: module.file }),
      moduleName: module?.name ?? "kdbus",
      moduleParameters: {},
      slowdown: facts.slowdown,
      cpus: facts.cpus,
      lsm: target.lsm,
      taint: facts.taint,
      peers: options.peers,
      shared: true,
      canaries: options.reboot !== undefined && options.console !== undefined ? "one breaks the machine, it is rebooted after it" : "none breaks the machine: that needs --reboot and --console",
    },
    generation,
    events: [],
    slowdown: facts.slowdown,
    env: { BUSLAB_TROUBLE_KO: "", BUSLAB_PEERS: options.peers },
    durationsMs: { ...ctx.spent },
  };
}

async function kernelConfig(host: RemoteHost, ctx: BringUpContext): Promise<string | null> {
  const session = await host.session();
  const { stdout } = await session.exec(CONFIG);
  if (!stdout.includes("CONFIG_")) return null;
  const path = join(ctx.folder.console, "remote.config");
  await writeFile(path, stdout);
  return path;
}

/** What can be said before the machine is reached. @throws MODULE_DIR_INVALID, USAGE */
function checkModule({ module, kernel }: Pick<RemoteOptions, "module" | "kernel">): void {
  if (module === null) return;
  if (module.endsWith(".ko")) {
    if (!existsSync(resolve(module))) throw new SuiteError("MODULE_DIR_INVALID", `--module ${module} is not there; it may be a .ko file or a folder with a Kbuild file`);
  } else if (kernel === undefined) {
    throw new SuiteError("USAGE", `--module ${module} is a folder, and what it is built against is not known: name the machine's kernel with --kernel, for example deb:linux-image-amd64, or give a .ko file`);
  }
}

/** @throws CONFIG_INVALID when it is built for another kernel than the machine's */
async function moduleFor(spec: string, target: Target, facts: RemoteFacts, options: RemoteOptions, build: Parameters<typeof buildAgent>[1]): Promise<{ readonly name: string; readonly file: string }> {
  if (spec.endsWith(".ko")) return { name: basename(spec, ".ko").replaceAll("-", "_"), file: resolve(spec) };
  const own = parseKernelSpec(options.kernel ?? "", options.config ?? []);
  const kernel = await buildKernel(makeTarget(target.arch.id, own.name, "none", "plain"), own.spec, build);
  if (kernel.release !== facts.release) throw new SuiteError("CONFIG_INVALID", `the machine runs kernel ${facts.release}, and --kernel ${options.kernel ?? ""} is ${kernel.release}; a module of the one does not load into the other`);
  const module = await buildModule(makeTarget(target.arch.id, own.name, "none", "plain"), kernel, spec, build);
  if (module.ko === null) throw new SuiteError("USAGE", `--module ${spec} is part of a kernel; a machine that is not ours to boot has the kernel it has`);
  return { name: module.name, file: module.ko };
}

/** @throws USAGE for another form, CONFIG_INVALID when there is no key or no pinned host key */
async function accessOf(pattern: string, options: Pick<RemoteOptions, "identity" | "hostKey">): Promise<Omit<SshAccess, "deadlineMs">> {
  const match = /^ssh:(?:(?<user>[^@:/]+)@)?(?<host>\[[0-9a-fA-F:.]+\]|[^@:/[\]]+)(?::(?<port>\d{1,5}))?$/.exec(pattern)?.groups;
  if (match === undefined) throw new SuiteError("USAGE", `"${pattern}" is not of the form ssh:user@host or ssh:user@host:port`);
  const host = (match["host"] ?? "").replace(/^\[|\]$/g, "");
  const port = Number(match["port"] ?? 22);
  const identity = options.identity ?? [join(homedir(), ".ssh/id_ed25519")].find(existsSync);
  const agentSocket = process.env["SSH_AUTH_SOCK"];
  if (identity === undefined && agentSocket === undefined) throw new SuiteError("CONFIG_INVALID", `there is no key to log in to ${host} with; give --identity FILE or start an ssh agent`);
  const privateKey = identity === undefined ? undefined : await readFile(resolve(identity), "utf8").catch((cause: unknown) => Promise.reject(new SuiteError("CONFIG_INVALID", `the key ${identity} cannot be read`, { cause })));
  return {
    host,
    port,
    user: match["user"] ?? "root",
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(agentSocket === undefined || privateKey !== undefined ? {} : { agentSocket }),
    hostKeyLine: options.hostKey === undefined ? await knownHost(host, port) : await readFile(resolve(options.hostKey), "utf8").catch((cause: unknown) => Promise.reject(new SuiteError("CONFIG_INVALID", `the host key ${options.hostKey ?? ""} cannot be read`, { cause }))),
  };
}

/** The ed25519 key that the user's known_hosts has for the machine. */
async function knownHost(host: string, port: number): Promise<string> {
  const name = port === 22 ? host : `[${host}]:${port}`;
  const { stdout } = await exec(["ssh-keygen", "-F", name], { okCodes: [0, 1, 255] });
  const line = stdout.split("\n").find((each) => / ssh-ed25519 /.test(each));
  if (line === undefined) throw new SuiteError("CONFIG_INVALID", `no ed25519 host key of ${name} is known; compare it and add it with: ssh-keyscan -t ed25519 -p ${port} ${host} >> ~/.ssh/known_hosts, or give --host-key FILE`);
  return line.replace(/^\S+ /, "");
}
