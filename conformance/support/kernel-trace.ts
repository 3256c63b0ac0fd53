import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { resultOf, type Script } from "./script.ts";
import { memory } from "./memory.ts";
import type { Process } from "./process.ts";
import { unsupported } from "./unsupported.ts";

const TRACING = "/sys/kernel/tracing";
const O = { WRONLY: 1, TRUNC: 0o1000, CLOEXEC: 0o2000000 } as const;

/** Events of tracefs for one process of the guest, switched on and off by steps of that process's own scripts. */
export class KernelTrace {
  private readonly agent: AgentClient;
  private readonly process: Process;

  private constructor(agent: AgentClient, process: Process) {
    this.agent = agent;
    this.process = process;
  }

  /** @param events `kmem/kmalloc` and the like. Without tracefs or one of the events the test is unsupported */
  static async of(agent: AgentClient, process: Process, events: readonly string[]): Promise<KernelTrace> {
    const trace = new KernelTrace(agent, process);
    if (!(await trace.has("trace"))) await agent.mount({ source: "tracefs", target: TRACING, type: "tracefs" }).catch(() => unsupported("tracefs"));
    await trace.put("tracing_on", "0");
    await trace.put("buffer_size_kb", "4096");
    for (const event of events) {
      if (!(await trace.has(`events/${event}/enable`))) unsupported(`the trace event ${event}`);
      await trace.put(`events/${event}/enable`, "1");
    }
    await trace.put("set_event_pid", String(process.peer.pid));
    return trace;
  }

  /** Empties the trace. */
  async clear(): Promise<void> {
    await this.process.close(await this.process.open(`${TRACING}/trace`, O.WRONLY | O.TRUNC | O.CLOEXEC));
  }

  /** Adds steps around the steps of `body`, so that only these are traced. */
  around(script: Script, body: () => void): void {
    const open = this.process.openStep(script, memory(`${TRACING}/tracing_on\0`), O.WRONLY | O.CLOEXEC);
    script.syscall("write", resultOf(open), memory("1"), 1);
    body();
    script.syscall("write", resultOf(open), memory("0"), 1);
    script.syscall("close", resultOf(open));
  }

  /** Lines of the trace, comments left out. @throws Error if events were lost */
  async lines(): Promise<string[]> {
    const text = new TextDecoder().decode(await this.agent.readFile(`${TRACING}/trace`));
    if (/LOST \d+ EVENTS/.test(text)) throw new Error("the trace lost events; make its buffer larger");
    return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  }

  private async has(file: string): Promise<boolean> {
    return (await this.process.syscall("faccessat", -100, memory(`${TRACING}/${file}\0`, file), 0)).errno === null;
  }

  private async put(file: string, text: string): Promise<void> {
    const fd = await this.process.open(`${TRACING}/${file}`, O.WRONLY | O.CLOEXEC);
    await this.process.write(fd, text);
    await this.process.close(fd);
  }
}

/** Bytes of kernel memory that lines of the events kmem:kmalloc, kmem:kmem_cache_alloc and kmem:mm_page_alloc stand for. */
export function allocatedBytes(lines: readonly string[]): number {
  let sum = 0;
  for (const line of lines) {
    const object = /bytes_alloc=(\d+)/.exec(line)?.[1];
    const order = /mm_page_alloc:.* order=(\d+)/.exec(line)?.[1];
    if (object !== undefined) sum += Number(object);
    else if (order !== undefined) sum += 4096 << Number(order);
  }
  return sum;
}
