import * as abi from "../../fixtures/abi/constants.ts";
import type { Call } from "../../orchestration/guest/program.ts";
import { describeCommand, describeSent } from "./describe.ts";
import { isMemory, type Memory, type Source } from "./memory.ts";
import { Script, type Arg, type ScriptResult, type SyscallName } from "./script.ts";

/** What a script did on the bus, in words. */
export interface Told {
  readonly what: string;
  readonly result: string;
}

/**
 * The script that tests write. Its steps go to the transcript as the commands of connections do, so that a failure shows
 * what was asked for; a loop is one line with how often each outcome came.
 */
export class ToldScript extends Script {
  private readonly told: { readonly what: string; readonly call: Call; readonly looped: boolean }[] = [];

  override ioctl(fd: Arg, request: number, argument: Memory | Arg): Call {
    const call = super.ioctl(fd, request, argument);
    this.told.push({ what: `${typeof fd === "number" ? `descriptor ${fd}: ` : ""}${describe(request, argument)}`, call, looped: this.looping });
    return call;
  }

  override syscall(name: SyscallName, ...args: (Arg | Memory)[]): Call {
    const call = super.syscall(name, ...args);
    if (name !== "sched_yield") this.told.push({ what: name, call, looped: this.looping });
    return call;
  }

  /** The steps with their outcomes, in the order of the script; loops that were not entered are left out. */
  tell(result: ScriptResult): Told[] {
    return this.told.flatMap(({ what, call, looped }): Told[] => {
      if (!looped) return [{ what, result: outcome(result.of(call)) }];
      const counts = new Map<string, number>();
      for (const each of result.all(call)) counts.set(each.errno ?? "success", (counts.get(each.errno ?? "success") ?? 0) + 1);
      return counts.size === 0 ? [] : [{ what: `in a loop, as first built: ${what}`, result: [...counts].map(([text, count]) => `${count} times ${text}`).join(", ") }];
    });
  }
}

function outcome({ value, errno }: { readonly value: bigint; readonly errno: string | null }): string {
  return errno ?? String(value);
}

function describe(request: number, argument: Memory | Arg): string {
  const name = abi.COMMAND_NAMES.find((each) => abi.COMMANDS[each] === request);
  if (name === undefined) return `ioctl 0x${request.toString(16)}`;
  if (!isMemory(argument)) return `${name} with a pointer`;
  const message = name === "SEND" ? argument.encoded.patches.map(({ source }) => source as Source).find((source) => source.kind === "address") : undefined;
  const command = describeCommand(name, argument.encoded.bytes);
  return message === undefined ? command : `${command}: ${describeSent(message.memory.encoded)}`;
}
