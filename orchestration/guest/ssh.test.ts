import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import ssh2 from "ssh2";
import { exec, killGroup, spawnTied } from "../base/exec.ts";
import { SuiteError } from "../base/errors.ts";
import { newRunKey, SshSession, type SshAccess } from "./ssh.ts";

const SSHD = "/usr/sbin/sshd";
const skip = existsSync(SSHD) && process.getuid?.() === 0 ? false : "needs root and openssh-server, which BUSLAB_TEST_SSHD=1 has `./buslab test` install";

let folder = "";
let access: SshAccess;
let stop: () => void = () => undefined;

before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), "buslab-ssh-"));
  const key = newRunKey("buslab-test");
  await writeFile(join(folder, "authorized_keys"), key.publicLine, { mode: 0o600 });
  await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(folder, "host")]);
  const port = await freePort();
  await mkdir("/run/sshd", { recursive: true });
  await writeFile(
    join(folder, "config"),
    `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${folder}/host\nAuthorizedKeysFile ${folder}/authorized_keys\nStrictModes no\nUsePAM no\nUseDNS no\nPidFile none\nSubsystem sftp internal-sftp\n`,
  );
  const sshd = spawnTied([SSHD, "-D", "-e", "-f", join(folder, "config")], { stdio: ["ignore", "ignore", "pipe"] });
  stop = () => killGroup(sshd);
  await new Promise<void>((resolve, reject) => {
    let log = "";
    sshd.stderr?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes("Server listening")) resolve();
    });
    sshd.once("exit", () => reject(new Error(`sshd ended: ${log}`)));
  });
  access = { host: "127.0.0.1", port, user: "root", privateKey: key.privateKey, hostKeyLine: await readFile(join(folder, "host.pub"), "utf8"), deadlineMs: 15_000 };
});

after(async () => {
  stop();
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

test("a pair that ssh2 malformed is not given out", () => {
  const zeroFirst = (): { private: string; public: string } => {
    for (;;) {
      const pair = ssh2.utils.generateKeyPairSync("ed25519");
      if (ssh2.utils.parseKey(pair.private) instanceof Error) return pair;
    }
  };
  const good = newRunKey("good");
  const made = [zeroFirst(), { private: good.privateKey, public: good.publicLine.trimEnd() }];
  assert.deepEqual(newRunKey("any", () => made.shift() ?? assert.fail("a good pair was thrown away")), good);
});

test("a command's output, error text and exit status come back apart", { skip }, async () => {
  await using session = await SshSession.open(access);
  assert.deepEqual(await session.exec("echo out; echo err >&2; exit 7"), { stdout: "out\n", stderr: "err\n", exitCode: 7 });
  assert.equal((await session.exec("cat", { stdin: "through" })).stdout, "through");
});

test("files travel both ways unchanged", { skip }, async () => {
  await using session = await SshSession.open(access);
  const data = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
  await writeFile(join(folder, "up"), data);
  await session.put(join(folder, "up"), join(folder, "there"));
  await session.get(join(folder, "there"), join(folder, "down"));
  assert.ok((await readFile(join(folder, "down"))).equals(data));
});

test("a server that shows another key than the pinned one is refused", { skip }, async () => {
  const other = newRunKey("other").publicLine;
  await assert.rejects(SshSession.open({ ...access, hostKeyLine: other }), (error: SuiteError) => error.code === "SSH_FAILED" && /another host key/.test(error.message));
});

test("a key that was not injected is refused", { skip }, async () => {
  await assert.rejects(SshSession.open({ ...access, privateKey: newRunKey("stranger").privateKey }), (error: SuiteError) => error.code === "SSH_FAILED");
});

test("a remote command that does not end is given up at its deadline", { skip }, async () => {
  await using session = await SshSession.open(access);
  await assert.rejects(session.exec("sleep 60", { deadlineMs: 300 }), (error: SuiteError) => error.code === "SSH_FAILED" && /within 300 ms/.test(error.message));
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
