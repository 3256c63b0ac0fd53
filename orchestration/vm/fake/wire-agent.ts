import { createConnection, type Socket } from "node:net";
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { SuiteError } from "../../base/errors.ts";
import type { ConnectAgent, GuestAgent } from "../guest-agent.ts";

/**
 * The least client of the guest agent that the machine layer's own tests need; the real one lives in
 * `orchestration/guest` and is wired in by the command line. The wire is told in vm-images/agent/PROTOCOL.md.
 */
const HEADER = 24;
const MAGIC = Buffer.from([0x42, 0x4c, 0x47, 1]);
const REQUEST = { sync: 1, ping: 2, restored: 4, klog: 10, mark: 11, exec: 32, writeFile: 33, readFile: 34, insmod: 35 } as const;
const REPLY = { sync: 0x101, ok: 0x102, error: 0x103 } as const;

export const connectWireAgent: ConnectAgent = async (path, { timeoutMs }) => {
  const wire = new Wire(await connect(path));
  try {
    await wire.sync(timeoutMs);
  } catch (error) {
    wire.close(); // QEMU serves one client at a time: one left open shuts out the next
    throw error;
  }
  const call = (type: number, parts: Uint8Array[], limitMs: number): Promise<Buffer> => wire.call(type, Buffer.concat(parts), limitMs);
  const agent: GuestAgent = {
    ping: async ({ timeoutMs: limit }) => void (await call(REQUEST.ping, [], limit)),
    restored: async ({ seed, unixMs, timeoutMs: limit }) => void (await call(REQUEST.restored, [u64(BigInt(unixMs) * 1_000_000n), seed], limit)),
    mark: async (line, { timeoutMs: limit }) => Number((await call(REQUEST.mark, [text(line)], limit)).readBigUInt64LE(0)),
    exec: async (argv, { timeoutMs: limit }) => {
      const reply = await call(REQUEST.exec, [u32(limit + 500), u32(limit), u32(1 << 20), text("/"), u32(argv.length), ...argv.map(text), u32(1), text("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), u32(0)], limit + 1000);
      const outBytes = reply.readUInt32LE(8);
      const errBytes = reply.readUInt32LE(12 + outBytes);
      const status = reply.readUInt32LE(0);
      return {
        exitCode: (status & 0x7f) === 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f),
        timedOut: reply.readUInt32LE(4) !== 0,
        stdout: reply.subarray(12, 12 + outBytes).toString(),
        stderr: reply.subarray(16 + outBytes, 16 + outBytes + errBytes).toString(),
      };
    },
    writeFile: async (file, data, { timeoutMs: limit, mode, control }) => {
      const flags = control === true ? 8 : 1 | 2 | 4;
      await call(REQUEST.writeFile, [u32(limit), text(file), u32(mode ?? 0o644), u32(flags), u64(0n), data], limit);
    },
    readFile: async (file, { timeoutMs: limit }) => (await call(REQUEST.readFile, [u32(limit), text(file), u64(0n), u32(1 << 20)], limit)).subarray(4),
    insmod: async (file, { timeoutMs: limit }) => void (await call(REQUEST.insmod, [u32(limit), text(file), text(""), u32(0)], limit)),
    kernelLog: async ({ timeoutMs: limit }) => (await call(REQUEST.klog, [u64(0n), u32(1 << 22)], limit)).subarray(20).toString(),
    close: async () => wire.close(),
  };
  return agent;
};

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket));
    socket.once("error", (error) => reject(new SuiteError("GUEST_LOST", `no agent listens on ${path}`, { cause: error })));
  });
}

class Wire {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (b: Buffer) => void; reject: (e: Error) => void }>();
  #input: Buffer = Buffer.alloc(0);
  #number = 0;
  #request = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      this.#input = Buffer.concat([this.#input, chunk]);
      this.#take();
    });
    socket.on("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new SuiteError("GUEST_LOST", "the agent's channel closed"));
      this.#waiting.clear();
    });
  }

  async sync(limitMs: number): Promise<void> {
    const nonce = randomBytes(16);
    const deadline = performance.now() + limitMs;
    // A guest that is still booting has nobody at the port and may lose what is sent: ask again.
    for (;;) {
      this.#number = 0;
      const left = deadline - performance.now();
      if (left <= 0) throw new SuiteError("GUEST_TIMEOUT", `the agent said no hello within ${limitMs} ms`);
      const answer = await this.call(REQUEST.sync, Buffer.concat([nonce, u32(0), u32(0)]), Math.min(left, 2_000)).catch((error: unknown) => {
        if (error instanceof SuiteError && error.code === "GUEST_TIMEOUT") return undefined;
        throw error;
      });
      if (answer?.subarray(0, 16).equals(nonce) === true) return;
    }
  }

  call(type: number, payload: Buffer, limitMs: number): Promise<Buffer> {
    const request = ++this.#request;
    if (this.#socket.destroyed) return Promise.reject(new SuiteError("GUEST_LOST", "the agent's channel is closed"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(request);
        reject(new SuiteError("GUEST_TIMEOUT", `the agent did not answer request type ${type} within ${limitMs} ms`));
      }, limitMs);
      this.#waiting.set(request, {
        resolve: (bytes) => (clearTimeout(timer), resolve(bytes)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      const head = Buffer.alloc(HEADER);
      MAGIC.copy(head);
      head.writeUInt32LE(payload.length, 4);
      head.writeUInt32LE(this.#number++, 8);
      head.writeUInt32LE(request, 12);
      head.writeUInt16LE(type, 16);
      head.writeUInt32LE(crc32(payload, crc32(head.subarray(0, 20))), 20);
      this.#socket.write(Buffer.concat([head, payload]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(): void {
    for (;;) {
      const start = this.#input.indexOf(MAGIC);
      if (start < 0 || this.#input.length - start < HEADER) return;
      const bytes = this.#input.readUInt32LE(start + 4);
      if (this.#input.length - start < HEADER + bytes) return;
      const frame = this.#input.subarray(start, start + HEADER + bytes);
      this.#input = this.#input.subarray(start + HEADER + bytes);
      const waiting = this.#waiting.get(frame.readUInt32LE(12));
      if (waiting === undefined) continue;
      this.#waiting.delete(frame.readUInt32LE(12));
      const payload = frame.subarray(HEADER);
      if (frame.readUInt16LE(16) === REPLY.error) waiting.reject(new SuiteError("GUEST_REFUSED", payload.subarray(8, -1).toString()));
      else waiting.resolve(Buffer.from(payload));
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(`${value}\0`);
  return Buffer.concat([u32(bytes.length), bytes]);
}
