import { createConnection, type Socket } from "node:net";
import { ERROR_TABLE, SuiteError, type ErrorCode } from "../base/errors.ts";
import { leaseAnswerSchema, type LeaseAnswer, type LeaseGrant, type LeaseReport, type LeaseRequest } from "./lease.ts";

type Wanted = LeaseRequest extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;
type Good = Extract<LeaseAnswer, { ok: true }>;

/** A test worker's end of the machine pool. Closing it, or dying, gives back all that was leased through it. */
export class PoolClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (answer: Good) => void; reject: (error: SuiteError) => void }>();
  #sequence = 0;
  #rest = "";
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => this.#feed(chunk));
    socket.on("error", () => undefined); // the close tells those who wait
    socket.on("close", () => {
      this.#ended = true;
      for (const { reject } of this.#waiting.values()) reject(new SuiteError("VM_POOL_CLOSED", "the machine pool closed the connection"));
      this.#waiting.clear();
    });
  }

  /** @param path value of BUSLAB_POOL. @throws VM_POOL_CLOSED */
  static connect(path: string): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path, () => resolve(new PoolClient(socket)));
      socket.once("error", (error) => reject(new SuiteError("VM_POOL_CLOSED", `no machine pool listens on ${path}`, { cause: error })));
    });
  }

  /** Waits for a free slot and a fresh clone. @throws VM_POOL_CLOSED, TARGET_UNKNOWN, VM_START_FAILED, HOST_DISK_FULL */
  async lease(target: string, test: string, parallel = false): Promise<LeaseGrant> {
    const { grant } = await this.#call({ op: "lease", target, test, parallel });
    if (grant === undefined) throw new SuiteError("INTERNAL", "the machine pool granted a lease without saying which");
    return grant;
  }

  /** Ends the lease and tells what its kernel said; the machine is gone afterwards. */
  async release(lease: string, keepEvidence: boolean): Promise<LeaseReport> {
    return this.#report(await this.#call({ op: "release", lease, keepEvidence }));
  }

  /** What the kernel said so far. */
  async inspect(lease: string): Promise<LeaseReport> {
    return this.#report(await this.#call({ op: "inspect", lease }));
  }

  async killQemu(lease: string): Promise<void> {
    await this.#call({ op: "kill-qemu", lease });
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.end();
    this.#socket.destroySoon();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #report({ report }: Good): LeaseReport {
    if (report === undefined) throw new SuiteError("INTERNAL", "the machine pool answered without a report");
    return report;
  }

  #call(request: Wanted): Promise<Good> {
    const id = ++this.#sequence;
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new SuiteError("VM_POOL_CLOSED", "the machine pool closed the connection"));
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ ...request, id })}\n`);
    });
  }

  #feed(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = leaseAnswerSchema.parse(JSON.parse(line));
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.ok) waiting?.resolve(answer);
      else waiting?.reject(new SuiteError(answer.code in ERROR_TABLE ? (answer.code as ErrorCode) : "INTERNAL", answer.message));
    }
  }
}
