import { createServer, type Server } from "node:http";
import { isIP, type AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { SuiteError } from "../base/errors.ts";
import type { Api } from "./centre.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** @throws USAGE naming what is wrong */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text);
  const [host, port] = [match?.[1] ?? match?.[2], Number(match?.[3])];
  if (host === undefined || port > 65_535) throw new SuiteError("USAGE", `--listen "${text}" is no address; it looks like 127.0.0.1:8420 or [::1]:8420`);
  return { host, port };
}

const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

/** Names by which browsers may call a centre: on a loopback address only its own, so that no page can lend it another one. */
export function hostNames({ host }: Address, more: readonly string[]): readonly string[] | null {
  const local = LOOPBACK.includes(host) || host.startsWith("127.");
  return local || more.length > 0 ? [...LOOPBACK, ...(isIP(host) > 0 || local ? [host] : []), ...more] : null;
}

/** @throws LISTEN_FAILED in one sentence */
export async function listenTcp(app: Api, address: Address): Promise<{ server: Server; url: string }> {
  const server = createServer(getRequestListener((request) => app.fetch(request, {})));
  await listening(server, `${address.host}:${address.port}`, () => server.listen(address.port, address.host));
  const { address: host, port, family } = server.address() as AddressInfo;
  return { server, url: `http://${family === "IPv6" ? `[${host}]` : host}:${port}` };
}

/** For commands on this host: whoever may open the socket is the owner. */
export async function listenSocket(app: Api, path: string): Promise<Server> {
  const server = createServer(getRequestListener((request) => app.fetch(request, { owner: true })));
  const before = process.umask(0o077);
  try {
    await listening(server, path, () => server.listen(path));
  } finally {
    process.umask(before);
  }
  return server;
}

/** Takes no more requests, lets those that run come to their end for a while, then cuts them off. */
export async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

function listening(server: Server, where: string, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE" ? "is in use by another program"
        : error.code === "EACCES" ? "may not be used by this user"
        : error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND" ? "is no address of this host"
        : error.message; // prettier-ignore
      reject(new SuiteError("LISTEN_FAILED", `${where} ${why}`, { cause: error }));
    });
    start();
  });
}
