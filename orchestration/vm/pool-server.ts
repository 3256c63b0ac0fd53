import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { leaseRequestSchema, type LeaseAnswer, type LeaseGrant, type LeaseReport, type LeaseRequest } from "./lease.ts";

/** What the pool does for a connection; the connection is named so that its leases end with it. */
export interface PoolOperations {
  lease(owner: object, target: string, test: string, parallel: boolean): Promise<LeaseGrant>;
  release(owner: object, lease: string, keepEvidence: boolean): Promise<LeaseReport>;
  inspect(owner: object, lease: string): Promise<LeaseReport>;
  killQemu(owner: object, lease: string): Promise<void>;
  /** The connection is gone: whatever it holds or waits for ends. */
  gone(owner: object): void;
}

/** Serves the protocol of lease.ts on a unix socket. */
export async function servePool(path: string, pool: PoolOperations): Promise<{ close: () => Promise<void> }> {
  await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("error", () => undefined); // a worker that was killed; `close` follows
    socket.on("close", () => {
      sockets.delete(socket);
      pool.gone(socket);
    });
    socket.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        void answer(pool, socket, line).then((reply) => {
          if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
        });
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new SuiteError("VM_START_FAILED", `the machine pool cannot listen on ${path}`, { cause: error })));
    server.listen(path, resolve);
  });
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await rm(path, { force: true });
    },
  };
}

async function answer(pool: PoolOperations, owner: object, line: string): Promise<LeaseAnswer> {
  let id = -1;
  try {
    const raw = JSON.parse(line) as { id?: unknown };
    if (typeof raw.id === "number") id = raw.id;
    const request: LeaseRequest = leaseRequestSchema.parse(raw);
    switch (request.op) {
      case "lease":
        return { id, ok: true, grant: await pool.lease(owner, request.target, request.test, request.parallel) };
      case "release":
        return { id, ok: true, report: await pool.release(owner, request.lease, request.keepEvidence) };
      case "inspect":
        return { id, ok: true, report: await pool.inspect(owner, request.lease) };
      case "kill-qemu":
        await pool.killQemu(owner, request.lease);
        return { id, ok: true };
    }
  } catch (error) {
    const named = asSuiteError(error);
    return { id, ok: false, code: named.code, message: named.message };
  }
}
