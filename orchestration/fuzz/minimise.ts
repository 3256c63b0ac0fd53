import type { Call, Program } from "./program.ts";

/** Whether these programs, run one after the other, still show the finding. A race needs several tries: that is its matter. */
export type StillFails = (programs: readonly Program[]) => Promise<boolean>;

export interface Minimised {
  readonly programs: readonly Program[];
  readonly tries: number;
  /** False: the budget ran out before nothing more could be taken away. */
  readonly complete: boolean;
}

/**
 * Makes a finding small: first whole programs go, then calls, then what is special about a call, then bytes of its data. The
 * result fails whenever `stillFails` told the truth; nothing is taken away unseen.
 * @param budget asked before each try; false ends the work with what is reached
 */
export async function minimise(programs: readonly Program[], stillFails: StillFails, budget: () => boolean = () => true): Promise<Minimised> {
  let tries = 0;
  let complete = true;
  const attempt = async (candidate: readonly Program[]): Promise<boolean> => {
    if (!budget()) {
      complete = false;
      return false;
    }
    tries += 1;
    return stillFails(candidate);
  };
  let best = await shrinkList(programs, attempt);
  for (let index = 0; index < best.length; index++) {
    const replace = (program: Program): Program[] => best.map((old, n) => (n === index ? program : old));
    const own = best[index];
    if (own === undefined) continue;
    const calls = await shrinkList(own.calls, async (kept) => attempt(replace({ ...own, calls: kept })));
    best = replace({ ...own, calls });
    best = replace(await simplify({ ...own, calls }, async (program) => attempt(replace(program))));
  }
  return { programs: best, tries, complete };
}

/** Takes away halves, quarters and so on of a list, down to single elements, until none of them can go. */
export async function shrinkList<T>(list: readonly T[], fails: (kept: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  let kept = list;
  for (let size = Math.ceil(kept.length / 2); size >= 1 && kept.length > 1; ) {
    let went = false;
    for (let at = kept.length - size; at > -size; at -= size) {
      // from the end: what a call needs stands before it
      const from = Math.max(0, at);
      const candidate = [...kept.slice(0, from), ...kept.slice(at + size)];
      if (candidate.length === 0 || candidate.length === kept.length) continue;
      if (await fails(candidate)) {
        kept = candidate;
        went = true;
      }
    }
    if (size === 1 && !went) break;
    size = went && size === 1 ? 1 : Math.max(1, Math.floor(size / 2));
  }
  return kept;
}

async function simplify(program: Program, fails: (program: Program) => Promise<boolean>): Promise<Program> {
  let best = program;
  const change = async (index: number, next: Call): Promise<void> => {
    const candidate = { ...best, calls: best.calls.map((call, n) => (n === index ? next : call)) };
    if (await fails(candidate)) best = candidate;
  };
  if (best.sandbox !== 0 && (await fails({ ...best, sandbox: 0 }))) best = { ...best, sandbox: 0 };
  for (let index = 0; index < best.calls.length; index++) {
    const now = (): Call => best.calls[index] as Call;
    if (now().thread !== 0) await change(index, { ...now(), thread: 0 });
    if (now().flags !== 0) await change(index, { ...now(), flags: 0 });
    if (now().fail !== 0) await change(index, { ...now(), fail: 0 });
    if (now().place !== 0) await change(index, { ...now(), place: 0 });
  }
  for (let index = 0; index < best.calls.length; index++) {
    const now = (): Call => best.calls[index] as Call;
    // an end of data that the kernel is never told of may go; so may a word that can be zero
    for (let cut = now().data.length >> 1; cut >= 8; cut >>= 1) {
      if (now().data.length > cut) await change(index, { ...now(), data: now().data.slice(0, now().data.length - cut) });
    }
    for (let at = now().data.length & ~7; at >= 0; at -= 8) {
      const data = now().data.slice();
      if (data.subarray(at, at + 8).every((byte) => byte === 0)) continue;
      data.fill(0, at, at + 8);
      await change(index, { ...now(), data });
    }
  }
  return best;
}
